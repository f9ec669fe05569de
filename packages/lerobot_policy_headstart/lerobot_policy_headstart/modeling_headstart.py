"""An exported policy as LeRobot's: one action for one observation, from chunks that go on from each other."""

import shutil
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.pretrained import PreTrainedPolicy
from torch import Tensor

from lerobot_policy_headstart.configuration_headstart import NO_TRAINING, HeadstartConfig
from lerobot_policy_headstart.noise import noise_of
from lerobot_policy_headstart.pictures import crops, pixels
from lerobot_policy_headstart.processor_headstart import MEASURED, STATE
from lerobot_policy_headstart.programs import Denoiser

_FILES = ("encode.pt2", "denoise.pt2", "policy.json")


class HeadstartPolicy(PreTrainedPolicy):
    """Answers as Headstart's own policy, in what LeRobot's processors of the export make of observations.

    A batch has `observation.state` (n, width), scaled; `observation.measured` (n, width), the same as it was measured;
    and each camera's `observation.images.NAME` (n, 3, height, width) from 0 to 1. Actions are normalized.
    """

    config_class = HeadstartConfig
    name = "headstart"

    def __init__(self, config: HeadstartConfig, folder: Path | str | None = None, **kwargs: Any) -> None:
        """Opens the export in a folder, `config.pretrained_path` by default; what else LeRobot gives is not needed.

        Raises ValueError where there is none.
        """
        super().__init__(config)
        config.validate_features()
        path = folder or config.pretrained_path
        if path is None:
            raise ValueError(f"there is no exported policy to run. {NO_TRAINING}")
        self.config: HeadstartConfig = config
        self._folder = Path(path)
        self._denoiser = Denoiser(self._folder)
        self._cameras = list(config.image_features)
        self.reset()

    @classmethod
    def from_pretrained(
        cls, pretrained_name_or_path: str | Path, *, config: HeadstartConfig | None = None, **kwargs: Any
    ) -> "HeadstartPolicy":
        """The policy of an export's folder, on the configuration's device.

        Raises FileNotFoundError where there is no such folder. A repository of the Hub is refused: its programs would
        run here as code.
        """
        folder = Path(pretrained_name_or_path)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder} is no folder here. Exported programs are code, so they are not fetched: fetch the policy "
                "itself (`headstart fetch`), and export it with --lerobot"
            )
        config = config or PreTrainedConfig.from_pretrained(folder)
        policy = cls(config, folder)
        policy.to(config.device)
        policy.eval()
        return policy

    def reset(self) -> None:
        """Forgets what was observed and commanded: an episode begins."""
        self._seen: deque[dict[str, Tensor]] = deque(maxlen=self.config.history)
        self._chunk: deque[Tensor] = deque()
        self._commanded: deque[Tensor] = deque(maxlen=max(self.config.n_obs_steps - 1, 1))

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], noise: Tensor | None = None, **kwargs: Any) -> Tensor:
        """The action of this step, (n, action_dim) normalized; every n_action_steps a chunk is denoised.

        The first observation of an episode stands for those before it. `noise` (n, horizon, action_dim) is drawn from
        what is observed where it is not given.
        """
        step = self._observed(batch)
        self._seen.extend([step] * (1 if self._seen else self.config.history))
        if not self._chunk:
            history = {name: torch.stack([one[name] for one in self._seen], dim=1) for name in step}
            self._chunk.extend(self._answer(history, noise, self._prefix()).unbind(1))
        action = self._chunk.popleft()
        self._commanded.append(action)
        return action

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], noise: Tensor | None = None, **kwargs: Any) -> Tensor:
        """(n, n_action_steps, action_dim) from now on, normalized, of a batch with its history, or of a step alone.

        With history, numbers are (n, steps, width) and pictures (n, steps, 3, height, width), the steps being those of
        `config.observation_delta_indices`. A step alone stands for all of them, which says that nothing moves.
        """
        step = self._observed(batch)
        if step[STATE].ndim == 2:
            step = {name: torch.stack([value] * self.config.history, dim=1) for name, value in step.items()}
        return self._answer(step, noise, None)

    def get_optim_params(self) -> dict[str, Any]:
        """Raises NotImplementedError: it is not trained in LeRobot."""
        raise NotImplementedError(NO_TRAINING)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, None]:
        """Raises NotImplementedError: it is not trained in LeRobot."""
        raise NotImplementedError(NO_TRAINING)

    def _save_pretrained(self, save_directory: Path, **kwargs: Any) -> None:
        """Writes the configuration and the programs."""
        self.config._save_pretrained(save_directory)
        for name in _FILES:
            shutil.copyfile(self._folder / name, save_directory / name)

    def _observed(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What of a batch the policy sees. Raises ValueError where some of it is missing."""
        names = [STATE, MEASURED, *self._cameras]
        if missing := [name for name in names if name not in batch]:
            raise ValueError(
                f"the policy sees {', '.join(missing)}, which this batch has not; were the export's processors used?"
            )
        return {name: batch[name] for name in names}

    def _prefix(self) -> Tensor | None:
        """The actions that were commanded last, (n, n_obs_steps - 1, action_dim); None where a chunk starts freely."""
        past = self.config.n_obs_steps - 1
        if not self.config.hold or past == 0 or len(self._commanded) < past:
            return None
        return torch.stack(list(self._commanded), dim=1)

    def _answer(self, history: dict[str, Tensor], noise: Tensor | None, prefix: Tensor | None) -> Tensor:
        """(n, n_action_steps, action_dim) of observations (n, steps, ...), of which the latest are seen."""
        steps, pictured = -self.config.n_obs_steps, -self.config.picture_steps
        state = history[STATE][:, steps:]
        measured = history[MEASURED][:, steps:].cpu().numpy().astype(np.float32)
        if not np.isfinite(measured).all():
            raise ValueError("an observation holds a number that is not finite; a policy needs finite numbers")
        seen = crops(self._denoiser.about["cameras"], [pixels(history[name][:, pictured:]) for name in self._cameras])
        if noise is None:
            shape = self.config.horizon, len(self._denoiser.about["action_scaling"]["center"])
            noise = torch.from_numpy(noise_of(self.config.seed, measured, seen, shape))
        pictures = tuple(torch.from_numpy(crop).to(state.device) for crop in seen)
        actions: Tensor = self._denoiser(state.flatten(1), pictures, noise.to(state.device), prefix)
        first = self.config.n_obs_steps - 1
        return actions[:, first : first + self.config.n_action_steps]
