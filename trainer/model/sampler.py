"""Full denoising with a head, as policies and the errors on held-out windows need it."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from trainer.config import Precision
from trainer.data.motion_basis import MotionBasis
from trainer.device import autocast, compute_dtype
from trainer.model.action_head import ActionHead
from trainer.model.backbones import Backbone
from trainer.model.compilation import CompiledForInference, RecompileError
from trainer.model.compute_copy import compute_copy
from trainer.model.conditioning import Conditioning
from trainer.model.constraint import Constraint
from trainer.model.diffusion import sample, sampling_steps
from trainer.model.frozen_backbones import FrozenBackbones
from trainer.model.packed_linear import pack_linear

_log = logging.getLogger(__name__)

_ROWS = 64
"""That weights are packed for; they fit others too. So packed, the products of the 16 rows that one robot's window has
take 6 % less time than when packed for 16."""


class Sampler:
    """Denoises with a head. What depends on the timestep alone is computed once.

    Attributes:
        steps: how many it takes, each of which asks the head once.
    """

    def __init__(
        self,
        head: ActionHead,
        precision: Precision,
        steps: int | None = None,
        compile_for: int | None = None,
        basis: MotionBasis | None = None,
        backbones: FrozenBackbones | None = None,
    ) -> None:
        """Takes a head in eval mode, whose weights must not change while the sampler is used.

        The backbone is compiled for batches of `compile_for`, when the first comes; others are denoised as they are
        without it. Where there is a basis, what is denoised is projected onto it at every step. `steps` are those of
        `sampling_steps`. Samplers that are given the same `backbones` share the weights of a backbone that their
        heads share.
        """
        self._precision, self._prediction_type = precision, head.prediction_type
        self._device = next(head.parameters()).device
        self._constraint = Constraint(basis, self._device)
        visited = sampling_steps(steps, head.prediction_type)
        self.steps = len(visited)
        timesteps = torch.tensor([step.timestep for step in visited], device=self._device)
        with torch.inference_mode():
            self._time = head.conditioning.time_share(head.backbone.time_encoder(timesteps))
        dtype = compute_dtype(self._device, precision)
        self._conditioning = compute_copy(head.conditioning, dtype)
        # Up to half of what a policy has for itself, beside a backbone that others share.
        self._conditioning.drop_time()
        backbone = (backbones or FrozenBackbones()).prepared(head.backbone, self._device, dtype, _ROWS)
        self._compile_for = compile_for
        # A packed weight is none that a compiler knows.
        unpacked = backbone if compile_for is None else compute_copy(head.backbone, dtype)
        self._compiled = CompiledForInference(_prediction(unpacked, self._conditioning))
        pack_linear(self._conditioning, _ROWS)
        self._predict = _prediction(backbone, self._conditioning)

    def __call__(
        self,
        condition: Tensor,
        noise: Tensor,
        step_noise: Callable[[int], Tensor] | None = None,
        pictures: tuple[Tensor, ...] = (),
        prefix: Tensor | None = None,
    ) -> Tensor:
        """Denoises, as `diffusion.sample` says.

        Args:
            condition: scaled, (batch, condition_dim).
            noise: from N(0, 1), (batch, horizon, action_dim).
            step_noise: given the index of the sampling step, the noise that it adds; None adds none.
            pictures: what each camera saw, (batch, n_picture_steps, height, width, 3) uint8.
            prefix: the first actions of each window where they are known already, as `Constraint.on` takes them.

        Returns:
            Normalized actions, like `noise`.

        Raises:
            ConfigError: the backbone can't be compiled.
        """
        constrain = self._constraint.on(prefix)
        if len(noise) == self._compile_for:
            try:
                # Of inference mode's weights the compiler makes no constants.
                with torch.no_grad(), self._compiled.only_once():
                    return self._denoise(self._compiled, condition, noise, step_noise, pictures, constrain)
            except RecompileError:
                _log.warning(
                    "torch is set differently than when the policy was compiled (threads, autocast, inference mode); "
                    "it goes on as it is without compile_for"
                )
                self._compile_for = None
        with torch.inference_mode():
            return self._denoise(self._predict, condition, noise, step_noise, pictures, constrain)

    def _denoise(
        self,
        prediction: Callable[[Tensor, Tensor, Tensor], Tensor],
        condition: Tensor,
        noise: Tensor,
        step_noise: Callable[[int], Tensor] | None,
        pictures: tuple[Tensor, ...],
        constrain: Callable[[Tensor], Tensor] | None,
    ) -> Tensor:
        conditioning = self._conditioning
        with autocast(self._device, self._precision):
            features = conditioning.feature_share(conditioning.encode(condition, pictures))

            def predict(noisy: Tensor, index: int) -> Tensor:
                return prediction(noisy, self._time[index], features)

            return sample(predict, noise, self.steps, self._prediction_type, step_noise, constrain)


def _prediction(backbone: Backbone, conditioning: Conditioning) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The function from noisy actions and the shares of time and features to what the head predicts."""

    def prediction(noisy: Tensor, time_share: Tensor, feature_share: Tensor) -> Tensor:
        predicted: Tensor = backbone(noisy, conditioning.join(time_share, feature_share))
        return predicted

    return prediction
