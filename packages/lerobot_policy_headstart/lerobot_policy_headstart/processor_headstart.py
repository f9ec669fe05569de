"""What is done to observations before the policy sees them, and to its actions afterwards, as LeRobot's pipelines.

`python -m trainer export --lerobot` writes both pipelines beside the policy; LeRobot loads them from there. Beside
LeRobot's own steps (renaming, batching, devices, normalization) they have the two of this module.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.processor import (
    ObservationProcessorStep,
    PolicyActionProcessorStep,
    PolicyProcessorPipeline,
    ProcessorStepRegistry,
)
from lerobot.processor.converters import policy_action_to_transition, transition_to_policy_action
from lerobot.utils.constants import POLICY_POSTPROCESSOR_DEFAULT_NAME, POLICY_PREPROCESSOR_DEFAULT_NAME
from torch import Tensor

from lerobot_policy_headstart.configuration_headstart import NO_TRAINING, HeadstartConfig

STATE = "observation.state"
MEASURED = "observation.measured"
"""Beside the state, the same numbers before they are normalized: the noise is drawn from them."""
_COLUMNS = re.compile(r"([^\[\]]+)(?:\[(\d+)(?::(\d+))?\])?")


@ProcessorStepRegistry.register(name="headstart_join_observation")
@dataclass
class JoinObservation(ObservationProcessorStep):
    """Joins what the policy sees into `observation.state`, float32, in its order.

    Attributes:
        columns: names of observations, `observation.state` or some of its numbers, `observation.state[0:5]`.
        width: of what is joined.
    """

    columns: list[str] = field(default_factory=list)
    width: int = 0

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Adds the state and `observation.measured`. Raises ValueError where a number of them is not there."""
        parts = [self._part(observation, name) for name in self.columns]
        pictures = [value for name, value in observation.items() if name.startswith("observation.image")]
        state = torch.cat(parts, dim=-1) if parts else pictures[0].new_zeros(len(pictures[0]), 0)
        if state.shape[-1] != self.width:
            joined = ", ".join(f"{name} {tuple(part.shape)}" for name, part in zip(self.columns, parts, strict=True))
            raise ValueError(
                f"the policy sees {self.width} numbers a step; the robot gives {state.shape[-1]}: {joined}"
            )
        return {**observation, STATE: state, MEASURED: state.clone()}

    def get_config(self) -> dict[str, Any]:
        """What makes an equal step."""
        return {"columns": self.columns, "width": self.width}

    def transform_features(self, features: Any) -> Any:
        """The same features: policies say in config.json what they take."""
        return features

    def _part(self, observation: dict[str, Any], columns: str) -> Tensor:
        match = _COLUMNS.fullmatch(columns)
        if match is None or match[1] not in observation:
            there = sorted(name for name in observation if name.startswith("observation."))
            raise ValueError(f"the policy sees '{columns}', which the robot does not give; it gives {there}")
        values = torch.as_tensor(observation[match[1]]).to(torch.float32)
        if match[2] is None:
            return values
        first = int(match[2])
        return values[..., first : first + 1 if match[3] is None else int(match[3])]


@ProcessorStepRegistry.register(name="headstart_order_action")
@dataclass
class OrderAction(PolicyActionProcessorStep):
    """Puts the numbers of an action in the order that the robot's data set has them in.

    Attributes:
        order: of each number of the robot's, its place in the policy's action.
    """

    order: list[int] = field(default_factory=list)

    def action(self, action: Tensor) -> Tensor:
        """(..., action_dim) to (..., len(order))."""
        return action[..., self.order]

    def get_config(self) -> dict[str, Any]:
        """What makes an equal step."""
        return {"order": self.order}

    def transform_features(self, features: Any) -> Any:
        """The same features: policies say in config.json what they return."""
        return features


def make_headstart_pre_post_processors(
    config: HeadstartConfig, dataset_stats: dict[str, dict[str, Tensor]] | None = None
) -> tuple[Any, Any]:
    """The pipelines of the export that `config.pretrained_path` names, before and after the policy.

    Statistics of a data set are left out of account: what a policy normalizes by was fixed in its training.

    Raises ValueError where there is no export.
    """
    if not isinstance(config, PreTrainedConfig) or config.pretrained_path is None:
        raise ValueError(f"there is no exported policy to take processors from. {NO_TRAINING}")
    folder = str(config.pretrained_path)
    before: Any = PolicyProcessorPipeline.from_pretrained(
        folder,
        config_filename=f"{POLICY_PREPROCESSOR_DEFAULT_NAME}.json",
        overrides={"device_processor": {"device": config.device}},
    )
    after: Any = PolicyProcessorPipeline.from_pretrained(
        folder,
        config_filename=f"{POLICY_POSTPROCESSOR_DEFAULT_NAME}.json",
        to_transition=policy_action_to_transition,
        to_output=transition_to_policy_action,
    )
    return before, after
