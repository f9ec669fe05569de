"""A trained policy: observations in, actions in metres or radians out."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import CheckpointError, ConfigError
from shared.philox import philox_uniform
from shared.rotation import matrix_to_rot6d, rot6d_to_matrix
from trainer.config import Precision
from trainer.data.action import ROTATION
from trainer.data.motion_basis import chosen_basis
from trainer.data.relative_actions import absolute, relative
from trainer.device import choose_device
from trainer.model.action_head import ActionHead
from trainer.model.frozen_backbones import FrozenBackbones
from trainer.model.sampler import Sampler
from trainer.training.checkpoint import load_checkpoint
from trainer.training.checkpoint_info import CheckpointInfo


class Policy:
    """Denoises actions for a batch of observations. Its answer to an observation depends on nothing else.

    The noise that an answer starts from is drawn from a hash of the observation: neither what else is in the batch
    nor what was asked before changes it, yet it differs from step to step. Compiled, batches of one size are rounded
    differently than others.

    Attributes:
        info: what the checkpoint says of itself.
        directions: of the motion basis that it projects onto; 0 where it does not.
        sampling_steps: of its sampler.
    """

    def __init__(
        self,
        head: ActionHead,
        info: CheckpointInfo,
        *,
        device: str = "cpu",
        seed: int = 0,
        sampling_steps: int | None = None,
        stochastic: bool = False,
        precision: Precision = "auto",
        compile_for: int | None = None,
        directions: int | None = None,
        backbones: FrozenBackbones | None = None,
    ) -> None:
        if compile_for is not None and compile_for < 1:
            raise ConfigError(f"compile_for is {compile_for}; batches have at least one observation")
        self.info = info
        self._seed = seed
        self._stochastic = stochastic
        self._device = choose_device(device)
        self._normalizer, self._scaling = info.normalizer, info.scaling
        self.directions, basis = chosen_basis(info.basis, directions)
        head = head.to(self._device).eval()
        self._sampler = Sampler(head, precision, sampling_steps, compile_for, basis, backbones)
        self.sampling_steps = self._sampler.steps
        if compile_for is not None:
            self._warm_up(compile_for)

    @classmethod
    def load(
        cls,
        checkpoint: Path | str,
        *,
        backbone: Path | None = None,
        device: str = "cpu",
        seed: int = 0,
        sampling_steps: int | None = None,
        stochastic: bool = False,
        precision: Precision = "auto",
        compile_for: int | None = None,
        directions: int | None = None,
        backbones: FrozenBackbones | None = None,
    ) -> "Policy":
        """A policy from a Stage-2 checkpoint.

        Args:
            checkpoint: its file, or a run folder, whose latest is taken.
            backbone: the file of its backbone, where that is not in the run's `backbones/`.
            device: "auto" or a torch device.
            seed: of the noise.
            sampling_steps: of the sampler; None takes 10 of DDIM, or 2 of flow matching.
            stochastic: add noise in every step; with 100 steps this is DDPM, which the paper samples by.
            precision: "auto" is bf16 where the hardware computes in it.
            compile_for: compile the backbone for batches of so many observations, which takes up to a minute now and
                gives the same actions but for rounding; batches of other sizes are answered as without it. It is meant
                for one policy of a process: what is compiled stays in memory.
            directions: of the motion basis to project onto, instead of the checkpoint's number; 0 is no basis.
            backbones: given to several policies, those that name the same frozen backbone share it in memory.

        Raises:
            CheckpointError: it can't be loaded, or is Stage 1's.
            ConfigError: `sampling_steps`, `compile_for` or `directions` is out of range, or it can't be compiled.
        """
        head, info = load_checkpoint(checkpoint, backbone, backbones)
        if info.stage != 2:
            raise CheckpointError("is a Stage-1 checkpoint, which sees no observations; adapt it first", checkpoint)
        return cls(
            head,
            info,
            device=device,
            seed=seed,
            sampling_steps=sampling_steps,
            stochastic=stochastic,
            precision=precision,
            compile_for=compile_for,
            directions=directions,
            backbones=backbones,
        )

    @property
    def n_obs_steps(self) -> int:
        """Observation steps it sees."""
        return self.info.head.n_obs_steps

    @property
    def n_picture_steps(self) -> int:
        """Pictures of each camera that it sees, the latest, where it has cameras."""
        return self.info.picture_steps

    @property
    def n_action_steps(self) -> int:
        """Action steps it answers with."""
        return self.info.head.n_action_steps

    def __call__(
        self,
        observations: NDArray[np.float32],
        pictures: Mapping[str, NDArray[np.uint8]] | None = None,
        prefix: NDArray[np.float32] | None = None,
        state: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Actions for a batch of observations: the first `n_action_steps` of what `predict` returns."""
        return self.predict(observations, pictures, prefix, state)[:, : self.n_action_steps]

    @torch.inference_mode(False)
    def predict(
        self,
        observations: NDArray[np.float32],
        pictures: Mapping[str, NDArray[np.uint8]] | None = None,
        prefix: NDArray[np.float32] | None = None,
        state: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """All that is predicted from now on for a batch of observations.

        Args:
            observations: (n, n_obs_steps, obs_dim), the latest last, keys joined as in `info.observation_widths`.
            pictures: of each of `info.cameras`, (n, n_picture_steps, height, width, 3) RGB as the camera gives them, of
                any size: they are resized and cropped as the demonstrations' were.
            prefix: the actions that are fixed already, (n, m, action_dim) in metres or radians: first the
                n_obs_steps - 1 that were commanded last, then those that will still be carried out before this answer
                is. The answer begins with the latter, their rotations made orthonormal, and goes on from them without a
                jump. NaN in all of a robot's where it has none, as at the beginning of an episode; None where no robot
                has any.
            state: of a policy of relative actions, each arm as it is now, (n, 9) position [m] and rotation_6d of the
                tool in the base frame, or (n, dof) joints [rad]; None where it is seen (`info.state_columns`).

        Returns:
            (n, horizon - n_obs_steps + 1, action_dim) in metres or radians, the first to be executed now. Rotations
            are orthonormal.

        Raises:
            ConfigError: the observations, pictures, the prefix or the state have another shape, or hold a number that
                is not finite, or a state is missing; says which.
        """
        expected = (self.n_obs_steps, self.info.condition_dim)
        if observations.ndim != 3 or observations.shape[1:] != expected:
            raise ConfigError(f"observations have shape {observations.shape}, this policy sees (n, {expected})")
        with np.errstate(over="ignore"):
            observations = np.ascontiguousarray(observations, np.float32)
        self._require_finite(observations)
        seen = self._seen(pictures or {}, len(observations))
        keys = np.array([_hash(observation, *crops) for observation, *crops in zip(observations, *seen, strict=True)])

        def noise(draw: int) -> Tensor:
            return torch.from_numpy(self._noise(keys, draw)).to(self._device)

        condition = self._scaling.apply(torch.from_numpy(observations).to(self._device)).flatten(1)
        crops = tuple(torch.from_numpy(one).to(self._device) for one in seen)
        step_noise = (lambda index: noise(1 + index)) if self._stochastic else None
        now = self._state(state, observations)
        fixed = None if prefix is None else self._fixed(prefix, len(observations), now)
        sampled = self._sampler(condition, noise(0), step_noise, crops, fixed)
        actions = self._normalizer.denormalize(sampled.cpu().numpy())[:, self.n_obs_steps - 1 :]
        actions = self._orthonormal(actions)
        if now is not None:
            actions = absolute(torch.from_numpy(actions).double(), now, self._normalizer.action).float().numpy()
        if prefix is not None:
            # They are carried out whatever is answered; within a basis the denoised ones come near them only.
            known, committed = np.isfinite(prefix).all((1, 2)), prefix[:, self.n_obs_steps - 1 :]
            actions[known, : committed.shape[1]] = self._orthonormal(committed[known])
        return actions

    def _orthonormal(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """A copy of actions whose rotations, of poses, are rotations."""
        found = actions.copy()
        if self._normalizer.action == "ee_pose":
            found[..., ROTATION] = matrix_to_rot6d(rot6d_to_matrix(actions[..., ROTATION]))
        return found

    def _require_finite(self, observations: NDArray[np.float32]) -> None:
        """Raises ConfigError naming the first number that is NaN or infinite, which would make every action NaN."""
        finite = np.isfinite(observations)
        if finite.all():
            return
        robot, step, place = (int(index) for index in np.argwhere(~finite)[0])
        within, number = "", place
        for key, width in self.info.observation_widths.items():
            if number < width:
                within = f" ('{key}[{number}]')"
                break
            number -= width
        raise ConfigError(
            f"observations hold {observations[robot, step, place]} in number {place}{within} of robot {robot}, step "
            f"{step}; a policy needs finite numbers"
        )

    def _warm_up(self, robots: int) -> None:
        observations = np.zeros((robots, self.n_obs_steps, self.info.condition_dim), np.float32)
        pictures = {
            name: np.zeros((robots, self.n_picture_steps, *camera.size, 3), np.uint8)
            for name, camera in self.info.cameras.items()
        }
        state = None
        if self.info.needs_state:
            state = np.zeros((robots, self._normalizer.action_dim - 1), np.float32)
            if self._normalizer.action == "ee_pose":
                state[:, ROTATION] = matrix_to_rot6d(np.eye(3))
        self.predict(observations, pictures, state=state)

    def _seen(self, pictures: Mapping[str, NDArray[np.uint8]], count: int) -> list[NDArray[np.uint8]]:
        """The middle of each camera's pictures, in their order. Raises ConfigError where they are others."""
        cameras = self.info.cameras
        if set(pictures) != set(cameras):
            raise ConfigError(f"pictures of {sorted(pictures)} were given, this policy sees {sorted(cameras)}")
        seen = []
        for name, camera in cameras.items():
            given = pictures[name]
            fits = given.ndim == 5 and given.shape[:2] == (count, self.n_picture_steps) and given.shape[4] == 3
            if not fits or given.dtype != np.uint8 or 0 in given.shape:
                raise ConfigError(
                    f"pictures of '{name}' are {given.dtype} {given.shape}, this policy sees uint8 ({count}, "
                    f"{self.n_picture_steps}, height, width, 3)"
                )
            seen.append(np.ascontiguousarray(camera.center(camera.resized(given))))
        return seen

    def _state(self, given: NDArray[np.float32] | None, observations: NDArray[np.float32]) -> Tensor | None:
        """What relative actions are relative to, (n, 9) or (n, dof) float64; None where actions are absolute.

        Raises ConfigError where it is missing, has another shape or is not finite.
        """
        if not self._normalizer.relative:
            if given is not None:
                raise ConfigError("this policy's actions are absolute; leave the state out")
            return None
        shape = len(observations), self._normalizer.action_dim - 1
        if given is None and self.info.state_columns is not None:
            given = observations[:, -1, self.info.state_columns]
        if given is None:
            raise ConfigError(
                "this policy's actions are relative to the arm's state, which it does not see: give `state`, "
                f"{shape} numbers"
            )
        if given.shape != shape or not np.isfinite(given).all():
            raise ConfigError(f"the state has shape {given.shape}, expected {shape} finite numbers")
        return torch.from_numpy(given.astype(np.float64))

    def _fixed(self, prefix: NDArray[np.float32], count: int, now: Tensor | None) -> Tensor:
        """A prefix, normalized. Raises ConfigError where it has another shape, or is not finite."""
        horizon, numbers = self.info.head.horizon, self._normalizer.action_dim
        shape = prefix.shape
        if prefix.ndim != 3 or (shape[0], shape[2]) != (count, numbers) or not 1 <= shape[1] <= horizon:
            raise ConfigError(f"the prefix has shape {shape}, expected ({count}, 1 to {horizon}, {numbers})")
        finite, lacking = np.isfinite(prefix).all((1, 2)), np.isnan(prefix).all((1, 2))
        if not (finite | lacking).all():
            robot = int(np.argmin(finite | lacking))
            raise ConfigError(f"the prefix of robot {robot} holds numbers that are not finite; NaN in all means none")
        if now is not None:
            prefix = relative(torch.from_numpy(prefix).double(), now, self._normalizer.action).numpy()
        return torch.from_numpy(self._normalizer.normalize(prefix.astype(np.float32))).to(self._device)

    def _noise(self, keys: NDArray[np.int64], draw: int) -> NDArray[np.float32]:
        """N(0, 1) of shape (n, horizon, action_dim) by Box and Muller, a stream for each observation's hash."""
        shape = (self.info.head.horizon, self._normalizer.action_dim)
        half = (shape[0] * shape[1] + 1) // 2
        uniform = philox_uniform(self._seed, keys, draw, 2 * half)
        radius, angle = np.sqrt(-2 * np.log1p(-uniform[:, :half])), 2 * np.pi * uniform[:, half:]
        normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return normal[:, : shape[0] * shape[1]].astype(np.float32).reshape(-1, *shape)


def _hash(*arrays: NDArray[Any]) -> int:
    value = 0
    for array in arrays:
        value = zlib.crc32(array.tobytes(), value)
    return value
