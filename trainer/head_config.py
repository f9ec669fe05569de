"""What an action head is: its architecture, size and conditioning, and what its output means."""

from dataclasses import dataclass
from typing import Literal

from shared.errors import ConfigError
from trainer.settings import check_choices, check_number

HeadName = Literal["dp_mlp", "dp_c", "dp_t", "dp_t_film"]
SizeName = Literal["tiny", "small", "paper"]
ConditioningName = Literal[
    "adaln_zero", "adaln", "ada_rms_norm", "film", "additive", "lora_cond", "cross_attn", "prefix"
]
ActionName = Literal["ee_pose", "joint_position"]
PredictionType = Literal["epsilon", "v_prediction", "sample", "flow"]

DIFFUSION_STEPS = 100
"""Timesteps of the training schedule; the sampler takes a subset of them."""

SAMPLING_STEPS = 10
"""Of DDIM, by default."""

FLOW_STEPS = 2
"""Of the sampler of flow matching, by default."""

CONDITIONINGS: dict[str, tuple[ConditioningName, ...]] = {
    "dp_mlp": ("adaln_zero", "film"),
    "dp_c": ("adaln_zero", "film"),
    "dp_t": ("adaln_zero", "adaln", "ada_rms_norm", "film", "additive", "lora_cond", "cross_attn", "prefix"),
    "dp_t_film": ("film",),
}
"""The conditionings that each head takes; those of your own are added by `backbones.add_backbone`."""

TOKEN_CONDITIONINGS: tuple[ConditioningName, ...] = ("cross_attn", "prefix")
"""Those that give the blocks tokens to attend to; the others give each block one vector."""


@dataclass(frozen=True)
class HeadConfig:
    """Shape of an action head: everything that fixes its weights, their names and sizes, and what its output means.

    Attributes:
        head: the architecture (docs/adding-a-head.md), or one of your own that was added before.
        size: `paper`, `small` for CPUs, or `tiny` for tests; widths and depths are beside each backbone.
        conditioning: how the condition enters the blocks; dp_t takes every one, dp_mlp and dp_c adaln_zero and film,
            dp_t_film film alone.
        paper_film: FiLM as the paper writes it, gamma * h + beta, instead of (1 + gamma) * h + beta.
        paper_key_values: key and value projections of cross_attn and prefix in the backbone, where Stage 2 freezes
            them, as in the paper, instead of in the conditioning.
        action: what a step of a window is: a pose (10 numbers) or joint positions (dof + 1).
        prediction_type: what the output is: noise, velocity or actions of diffusion, in diffusers' words, or the
            velocity of flow matching (`flow`), which takes fewer sampling steps.
        dropout: inside the blocks while the backbone trains (the paper: 0.1 in dp_mlp, 0.3 in the transformers).
        horizon: steps of a window.
        n_obs_steps: observation steps the policy sees; a Stage-2 window starts at t - (n_obs_steps - 1).
        n_action_steps: steps of a prediction that a rollout executes, from index n_obs_steps - 1.
    """

    # The names that there are stay a part of the type, for the help of commands.
    head: HeadName | str = "dp_mlp"
    size: SizeName = "small"
    conditioning: ConditioningName = "adaln_zero"
    paper_film: bool = False
    paper_key_values: bool = False
    action: ActionName = "ee_pose"
    prediction_type: PredictionType = "epsilon"
    dropout: float = 0.0
    horizon: int = 16
    n_obs_steps: int = 2
    n_action_steps: int = 8

    def __post_init__(self) -> None:
        check_choices(self)
        self._check_conditioning()
        # Motion has a jerk from four steps on.
        check_number("horizon", self.horizon, 4, whole=True)
        check_number("n_obs_steps", self.n_obs_steps, 1, whole=True)
        check_number("n_action_steps", self.n_action_steps, 1, whole=True)
        check_number("dropout", self.dropout, 0, below=1)
        if self.n_obs_steps > self.horizon:
            raise ConfigError(f"n_obs_steps is {self.n_obs_steps}; it must be 1 to the horizon, {self.horizon}")
        if self.n_action_steps > self.longest_answer:
            raise ConfigError(
                f"n_action_steps is {self.n_action_steps}; a window of {self.horizon} steps holds at most "
                f"{self.longest_answer} after {self.n_obs_steps} observation steps"
            )
        if self.head == "dp_c" and self.horizon % 4:
            raise ConfigError(f"horizon is {self.horizon}; dp_c halves it twice, so it must be a multiple of 4")
        if self.dropout and self.head == "dp_c":
            raise ConfigError(f"dropout is {self.dropout}; dp_c has none, leave it at 0")

    @property
    def longest_answer(self) -> int:
        """Steps of a window from the current one on, all that a policy predicts."""
        return self.horizon - self.n_obs_steps + 1

    @property
    def attends_to_tokens(self) -> bool:
        """Whether the condition enters as tokens rather than as one vector."""
        return self.conditioning in TOKEN_CONDITIONINGS

    def _check_conditioning(self) -> None:
        if self.head not in CONDITIONINGS:
            raise ConfigError(
                f"head is {self.head!r}; it must be one of {', '.join(CONDITIONINGS)}, or one of your own, which "
                "trainer.model.backbones.add_backbone makes known first"
            )
        known = CONDITIONINGS[self.head]
        if self.conditioning not in known:
            raise ConfigError(
                f"{self.head} can't be conditioned by {self.conditioning}; pass --conditioning {' or '.join(known)}"
            )
        if self.paper_film and self.conditioning != "film":
            raise ConfigError(f"paper_film is a form of film; the conditioning is {self.conditioning}")
        if self.paper_key_values and not self.attends_to_tokens:
            raise ConfigError(
                f"paper_key_values is for {' and '.join(TOKEN_CONDITIONINGS)}; the conditioning is {self.conditioning}"
            )


def default_sampling_steps(prediction_type: PredictionType) -> int:
    """Steps of a sampler that is told no other number."""
    return FLOW_STEPS if prediction_type == "flow" else SAMPLING_STEPS
