"""A request on the command line: a flag for each of its keys, instead of a file or over what a file says.

A value is JSON, or plain words for what is usual: `--workspace reachable` is the workspace of that kind,
`--speed-scale 0.2,0.8` a list, `--families hold=1,via_points=2` an object.
"""

import argparse
import json
from typing import Any

from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import RequestError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    group = parser.add_argument_group(
        "a request's keys", "as docs/data-format.md says; values are JSON, a word, or a list a,b or name=a,name=b"
    )
    for key, text in TrajectoryRequest.described().items():
        group.add_argument(_flag(key), dest=_dest(key), metavar="VALUE", help=text.removesuffix(".").replace("%", "%%"))


def with_flags(body: Any, options: argparse.Namespace) -> Any:
    """The body of a request with what the flags say in place of what it says. Raises RequestError."""
    given = {key: getattr(options, _dest(key)) for key in TrajectoryRequest.model_fields}
    said = {key: _value(key, text) for key, text in given.items() if text is not None}
    # What is no object is refused where requests are parsed, whatever the flags say.
    return {**body, **said} if isinstance(body, dict) else body


def _value(key: str, text: str) -> Any:
    """A flag's value."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _words(key, text)
    if key in ("robot", "goal"):
        # Names, also of digits alone.
        return text
    if key == "workspace" and isinstance(value, str):
        return {"kind": value}
    # One column, or one solid to keep out of, needs no brackets.
    return [value] if key in ("columns", "keep_out") and not isinstance(value, list) else value


def _words(key: str, text: str) -> Any:
    """What is no JSON: names with numbers, a list, or a word."""
    if text.lstrip()[:1] in ("{", "["):
        detail = f"{text!r} begins as JSON does, but is none"
        raise RequestError("the request is not valid", [(f"/{key}", detail)])
    if "=" in text:
        pairs = [part.partition("=") for part in text.split(",")]
        return {name.strip(): _item(value) for name, _, value in pairs}
    return [_item(part) for part in text.split(",")] if "," in text else text


def _item(text: str) -> Any:
    """A number, or the word that it is."""
    try:
        return float(text)
    except ValueError:
        return text.strip()


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _dest(key: str) -> str:
    """Apart from the command's own options: `robot` is a robot of one's own there."""
    return f"key_{key}"
