"""A proposal as a mapping file: answers with their evidence, and questions commented out with every reading."""

import json
import textwrap
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from trainer.data.demonstrations.proposal.guess import Guess
from trainer.data.demonstrations.proposal.proposal import Proposal

_WIDTH = 110
_MOST_READINGS = 8
_ORDER = ("space", "mode", "delta_from", "delta_axes", "position", "rotation", "joint_position", "gripper", "frame")
QUESTION = "CAN'T TELL"


def proposal_text(proposal: Proposal) -> str:
    """The text of a TOML file."""
    lines = ["# Proposed by `trainer inspect --propose`: what the data set tells, and on what evidence."]
    if proposal.questions:
        lines.append(f"# {QUESTION} marks {len(proposal.questions)} of its keys: uncomment the reading that is right.")
    if proposal.robot is not None:
        lines.append(f"robot = {_value(proposal.robot)}")
    if proposal.low_dim:
        lines += ["", "[observation]", f"low_dim = {_value(list(proposal.low_dim))}"]
    for table in ("action", "state"):
        guesses = {guess.key[1]: guess for guess in proposal.guesses if guess.key[0] == table}
        if guesses:
            lines += ["", f"[{table}]"]
        for name in _ORDER:
            if name in guesses:
                lines += _entry(guesses[name])
    return "\n".join(lines) + "\n"


def describe_proposal(proposal: Proposal) -> list[str]:
    """What is known, and what is asked, a line each, for people."""
    lines = []
    for guess in proposal.guesses:
        name = ".".join(guess.key)
        if guess.is_sure:
            lines.append(f"{name} = {_value(guess.readings[0])}: {guess.why}")
        else:
            readings = " or ".join(_value(reading) for reading in guess.readings[:2])
            lines.append(f"{QUESTION} {name}{': ' + readings if readings else ''}: {guess.why}")
    return lines


def _entry(guess: Guess) -> list[str]:
    text = guess.why if guess.is_sure else f"{QUESTION}: {guess.why}"
    lines = [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2)]
    assigned = [f"{guess.key[1]} = {_value(reading)}" for reading in guess.readings]
    if guess.is_sure:
        return [*lines, *assigned]
    more = len(assigned) - _MOST_READINGS
    rest = [f"# and {more} more readings agree as well"] if more > 0 else []
    return [*lines, *(f"# {line}" for line in assigned[:_MOST_READINGS]), *rest]


def _value(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True)
    if isinstance(value, Dict):
        return "{" + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(value)
