"""Reading mapping files, TOML or JSON, with every problem named by its key; and writing them."""

import json
import tomllib
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import ConfigError
from trainer.data.demonstrations.mapping.mapping import Mapping

_Model = TypeVar("_Model", bound=BaseModel)

_MOST_BYTES = 1_000_000

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is no key that is known here",
    "model_type": "needs to be a table of keys",
}


def read_mapping(path: Path) -> Mapping:
    """The mapping of a .toml or .json file. Raises ConfigError naming the file and every key that is wrong."""
    return parse_mapping(read_tables(path), path)


def read_tables(path: Path) -> Any:
    """What is in a .toml or .json file. Raises ConfigError where it can't be read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path}: is larger than {_MOST_BYTES} bytes; it is no mapping file")
        text = path.read_text("utf-8")
        content: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror}); give a mapping file, .toml or .json") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not {'JSON' if path.suffix == '.json' else 'TOML'} ({error})") from error
    return content


def parse_mapping(content: Any, where: Path | str) -> Mapping:
    """A mapping from the object of its file. Raises ConfigError naming `where` and every key that is wrong."""
    return parse_tables(Mapping, content, where)


def parse_tables(model: type[_Model], content: Any, where: Path | str) -> _Model:
    """What a file's tables say. Raises ConfigError naming `where` and every key that is wrong."""
    try:
        # By way of JSON, where a list may become a tuple but no text a number.
        return model.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        problems = [_describe(one) for one in error.errors() if not _is_noise(one)]
        raise ConfigError(f"{where}: {'; '.join(problems)}") from error


def toml(top: Dict[str, Any], tables: Dict[str, Dict[str, Any]]) -> str:
    """A mapping file's text, of plain values by key; all of it is also JSON's syntax, but for the equals signs."""
    parts = [_lines(top), *(["", f"[{name}]", *_lines(values)] for name, values in tables.items())]
    return "\n".join(line for part in parts for line in part) + "\n"


def _lines(values: Dict[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]


def _describe(error: ErrorDetails) -> str:
    # Of a union, pydantic also names the member that it tried, which nobody has written.
    parts = [str(part) for part in error["loc"] if str(part).isidentifier() or isinstance(part, int)]
    key = ".".join(part for part in parts if part not in ("Gripper", "Frame"))
    text = _WORDS.get(error["type"], error["msg"].removeprefix("Value error, ").replace("Input should", "should"))
    if error["type"] == "literal_error" and _in_union(error):
        text += " or a table of keys"
    return f"{key}: {text}" if key else text


def _is_noise(error: ErrorDetails) -> bool:
    """Whether it says only that a table is not the word that could have stood there, or the other way round."""
    is_table = isinstance(error["input"], dict)
    return _in_union(error) and (error["type"] == "literal_error" if is_table else error["type"] == "model_type")


def _in_union(error: ErrorDetails) -> bool:
    return any(str(part).startswith(("literal[", "function-after[", "Frame")) for part in error["loc"])
