"""The mapping file of a Gymnasium environment: which one it is, and what its numbers mean.

docs/own-environment.md shows it from the user's side. `[action]` and `[state]` are those of a data set's mapping, with
`action` for the environment's action, and for what is observed its keys, `outer.inner` where they are nested, or
`observation` where it has none.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from trainer.data.demonstrations.mapping.mapping import Action, Columns, State
from trainer.data.demonstrations.mapping.mapping_file import parse_tables, read_tables

_SUCCESS = re.compile(r"info\.(?P<key>.+)|(?P<ended>terminated)|reward *>= *(?P<reward>-?\d+(\.\d+)?)")


def _is_success(text: str) -> str:
    if not _SUCCESS.fullmatch(text):
        raise ValueError(f'"{text}" says no success; write "info.is_success", "terminated" or "reward >= 4"')
    return text


class _Part(BaseModel):
    """Frozen, and closed to unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Made(_Part):
    """Which environment it is, and how long an episode may be.

    Attributes:
        id: that gymnasium.make takes; `module:id` imports the module that registers it first.
        arguments: that gymnasium.make is given beside it.
        rate_hz: control steps per second.
        episode_limit: control steps after which a rollout has failed.
        success: `info.KEY`, true in what `step` tells; `terminated`; or `reward >= X`.
        expert: package.module:NAME of an expert: from the episode (`GymnasiumEpisode`), an iterator over actions.
    """

    id: str
    rate_hz: Annotated[float, Field(gt=0, le=10_000)]
    episode_limit: Annotated[int, Field(ge=1)]
    success: Annotated[str, AfterValidator(_is_success)]
    arguments: dict[str, Any] = Field(default_factory=dict)
    expert: str | None = None


class Shown(_Part):
    """What of the environment a policy may see.

    Attributes:
        low_dim: of each key that policies know, the environment's numbers; a list where both have one name.
        cameras: likewise of each camera.
    """

    low_dim: dict[str, Columns] | tuple[Columns, ...] = Field(default_factory=dict)
    cameras: dict[str, str] | tuple[str, ...] = Field(default_factory=dict)


class EnvironmentFile(_Part):
    """A mapping file.

    Attributes:
        name: of the task.
        robot: name of the arm, as in the catalogue if it is there.
        environment: which one it is.
        observation: what of it a policy may see.
        action: what a policy's actions are to it.
        state: what is observed of the arm; deltas are from it.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    environment: Made
    action: Action
    observation: Shown = Shown()
    state: State = State()
    robot: str = "unknown"

    @model_validator(mode="after")
    def _can_be_commanded(self) -> Self:
        action = self.action
        if action.label != "command":
            raise ValueError("action.label is of recorded data; an environment is commanded")
        if "robosuite" in (action.frame, self.state.frame):
            raise ValueError('frame "robosuite" is read from recorded data; write the frame as base and tool')
        needed = "position" if action.space == "ee_pose" else "joint_position"
        if action.mode == "delta" and getattr(self.state, needed) is None:
            raise ValueError(f"state.{needed} is missing: mode 'delta' starts from what was observed")
        return self


def read_environment_file(path: Path) -> EnvironmentFile:
    """The mapping file at `path`. Raises ConfigError naming it and every key that is wrong."""
    return parse_tables(EnvironmentFile, read_tables(path), path)


def named(given: dict[str, str] | tuple[str, ...]) -> dict[str, str]:
    """A table of names, also where a list says that both sides have the same."""
    return dict(given) if isinstance(given, dict) else {one: one for one in given}


SuccessKind = Literal["info", "terminated", "reward"]


def success_rule(text: str) -> tuple[SuccessKind, str]:
    """What decides, and its key or bound."""
    match = _SUCCESS.fullmatch(text)
    assert match is not None, text
    if match["key"]:
        return "info", match["key"]
    return ("terminated", "") if match["ended"] else ("reward", match["reward"])
