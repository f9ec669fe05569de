"""What LeRobot is told of an exported policy: `config.json` beside its programs."""

from dataclasses import dataclass, field

from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import NormalizationMode

NO_TRAINING = (
    "A Headstart policy is trained by `python -m trainer adapt` and exported with --lerobot; LeRobot runs it, "
    "with --policy.path, and does not train it."
)


@PreTrainedConfig.register_subclass("headstart")
@dataclass
class HeadstartConfig(PreTrainedConfig):
    """An exported policy, as `python -m trainer export --lerobot` writes it.

    Attributes:
        horizon: steps that are denoised at once, from n_obs_steps - 1 before now.
        n_picture_steps: pictures of each camera that are seen, the latest; None is as many as steps, n_obs_steps.
        n_action_steps: steps of them that are carried out before the next are asked for.
        rate_hz: of observations and actions; the robot's fps must be the same.
        normalization_mapping: observations and actions by their `mean` and `std`, which are the center and the
            scale of the export; pictures as they are.
        hold: whether a chunk goes on from the actions that were commanded last, without a jump.
        seed: of the noise.
    """

    horizon: int = 16
    n_picture_steps: int | None = None
    n_action_steps: int = 8
    rate_hz: float = 20.0
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: {
            "STATE": NormalizationMode.MEAN_STD,
            "VISUAL": NormalizationMode.IDENTITY,
            "ACTION": NormalizationMode.MEAN_STD,
        }
    )
    hold: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        most = self.horizon - self.n_obs_steps + 1
        if not 1 <= self.n_action_steps <= most:
            raise ValueError(f"n_action_steps is {self.n_action_steps}; the policy predicts 1 to {most} steps from now")
        if self.n_picture_steps is not None and self.n_picture_steps < 1:
            raise ValueError(f"n_picture_steps is {self.n_picture_steps}; a policy sees at least one picture")

    @property
    def picture_steps(self) -> int:
        """Pictures of each camera that are seen."""
        return self.n_picture_steps or self.n_obs_steps

    @property
    def history(self) -> int:
        """Steps that are kept: the longer of what is seen in numbers and in pictures."""
        steps: int = max(self.n_obs_steps, self.picture_steps)
        return steps

    @property
    def observation_delta_indices(self) -> list[int]:
        """Steps that are kept, from now: LeRobot has one history of all that is observed; its latest part is seen."""
        return list(range(1 - self.history, 1))

    @property
    def action_delta_indices(self) -> list[int]:
        """Steps that are predicted, from now."""
        return list(range(1 - self.n_obs_steps, 1 - self.n_obs_steps + self.horizon))

    @property
    def reward_delta_indices(self) -> None:
        """None: there are no rewards."""
        return

    def get_optimizer_preset(self) -> None:
        """Raises NotImplementedError: it is not trained in LeRobot."""
        raise NotImplementedError(NO_TRAINING)

    def get_scheduler_preset(self) -> None:
        """Raises NotImplementedError: it is not trained in LeRobot."""
        raise NotImplementedError(NO_TRAINING)

    def validate_features(self) -> None:
        """Raises ValueError where the configuration is none that an export wrote."""
        if self.action_feature is None or not self.input_features:
            raise ValueError(f"there are no input_features or no action in this configuration. {NO_TRAINING}")
