"""The table of training.md: every setting of a training, as the help of `pretrain` and `adapt` has it."""

import dataclasses
import inspect
import re
from typing import Any

from trainer.config import AdaptConfig, HeadConfig, PretrainConfig, TrainingConfig

_TITLES = {
    TrainingConfig: "both stages",
    HeadConfig: "the head",
    PretrainConfig: "Stage 1 alone",
    AdaptConfig: "Stage 2 alone",
}


def settings_table() -> list[str]:
    """Flag, default and meaning of each setting, with what has it."""
    lines = []
    for kind, title in _TITLES.items():
        meanings = _meanings(kind)
        lines += [f"**Of {title}:**", "", "| option | default | meaning |", "|---|---|---|"]
        for field in dataclasses.fields(kind):
            # The others are in tables of their own.
            if field.default is dataclasses.MISSING:
                continue
            lines.append(f"| `{_flag(field)}` | {_shown(field.default)} | {meanings[field.name]} |")
        lines.append("")
    return lines


def _meanings(kind: type) -> dict[str, str]:
    """Of each attribute, by the docstring."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    parts = re.split(r"^ {4}(\w+): ", text, flags=re.MULTILINE)[1:]
    return {name: " ".join(said.split()) for name, said in zip(parts[::2], parts[1::2], strict=True)}


def _flag(field: "dataclasses.Field[Any]") -> str:
    flag = "--" + field.name.replace("_", "-")
    return f"{flag}, --no-{flag[2:]}" if isinstance(field.default, bool) else flag


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        return " ".join(str(part) for part in default)
    return "none" if default is None else str(default)
