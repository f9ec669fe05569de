"""openpi's WebSocket messages: an observation in, a chunk of actions out, as its `WebsocketClientPolicy` sends them.

A client is sent what the policy is when it connects. Then each of its messages is a map of one robot's observation,
answered by a map with `actions`; an error is answered by text, at which the client raises. Both are MessagePack in
which an array is a map of `__ndarray__`, `data`, `dtype` and `shape` with keys of bytes (openpi_client.msgpack_numpy).
"""

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError, RequestError
from trainer.deployment.serving.messages import Observations, array, read_map
from trainer.training.checkpoint_info import CheckpointInfo

_DTYPES = {"<f4", "<f8", "<f2", "|u1", "|i1", "<i4", "<i8"}
_SOURCE = re.compile(r"([^\[\]]+)(?:\[(\d+):(\d+)\])?")
"""A key of the client's, and which of its numbers: `observation/state[0:3]`."""


class Source(NamedTuple):
    """Where the client has something.

    Attributes:
        key: its key; parts between slashes may also be maps in one another.
        part: of its numbers.
    """

    key: str
    part: slice


class OpenpiKeys(NamedTuple):
    """What a client calls that which the policy sees.

    Attributes:
        observations: where each key of the policy's observations is.
        pictures: where each camera's picture is.
    """

    observations: Mapping[str, Source]
    pictures: Mapping[str, Source]


def read_keys(path: Path | None, info: CheckpointInfo, others: Iterable[CheckpointInfo] = ()) -> OpenpiKeys:
    """The keys that a TOML file gives in its tables `observations` and `pictures`, the policy's own where it has none.

    Raises ConfigError where the file can't be read, or gives a key that neither the policy nor one of the others that
    are served sees.
    """
    given: dict[str, Any] = {}
    if path is not None:
        try:
            given = tomllib.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} can't be read: {error}") from None
        if unknown := given.keys() - {"observations", "pictures"}:
            raise ConfigError(f"{path} has {sorted(unknown)[0]!r}; its tables are observations and pictures")
    of_others = list(others)
    tables: dict[str, Mapping[str, Any]] = {"observations": info.observation_widths, "pictures": info.cameras}
    elsewhere = {
        "observations": {key for other in of_others for key in other.observation_widths},
        "pictures": {name for other in of_others for name in other.cameras},
    }
    sources = {
        name: _sources(given.get(name, {}), keys, elsewhere[name], f"{path}, {name}") for name, keys in tables.items()
    }
    return OpenpiKeys(sources["observations"], sources["pictures"])


def _sources(table: Any, keys: Mapping[str, Any], elsewhere: Set[str], where: str) -> dict[str, Source]:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table")
    if unknown := table.keys() - keys.keys() - elsewhere:
        raise ConfigError(
            f"{where}: the policy does not see {sorted(unknown)[0]!r}; it sees {', '.join(keys) or 'none'}"
        )
    sources = {}
    for key in keys:
        said = table.get(key, key)
        parts = _SOURCE.fullmatch(said) if isinstance(said, str) else None
        if parts is None:
            raise ConfigError(f"{where}.{key} is {said!r}; write the client's key, as in 'observation/state[0:3]'")
        begin, end = parts[2], parts[3]
        sources[key] = Source(parts[1], slice(None) if begin is None else slice(int(begin), int(end)))
    return sources


def read_observation(sent: Mapping[Any, Any], info: CheckpointInfo, keys: OpenpiKeys) -> Observations:
    """Reads a client's unpacked observation of one robot.

    Numbers and pictures of the latest step alone stand for all that are seen; with a leading axis of n_obs_steps, of
    pictures n_picture_steps, they are the steps themselves, the latest last. `prefix` (m, action_dim) may be there, as
    in docs/policies.md; what the policy does not see, such as a prompt, is left out of account.

    Raises RequestError with a pointer to each thing that is wrong.
    """
    value: dict[str, Any] = {
        "observations": {
            key: array(_steps(sent, source, info.head.n_obs_steps, 1)[..., source.part][None])
            for key, source in keys.observations.items()
        },
        "pictures": {
            name: array(_steps(sent, source, info.picture_steps, 3)[None]) for name, source in keys.pictures.items()
        },
    }
    if sent.get("prefix") is not None:
        value["prefix"] = array(_values(sent["prefix"], "/prefix").astype(np.float32)[None])
    if info.head.relative_actions and sent.get("current_state") is not None:
        value["current_state"] = array(_values(sent["current_state"], "/current_state").astype(np.float32)[None])
    return read_map(value, info, 1)


def write_answer(actions: NDArray[np.float32], rate_hz: float, milliseconds: float) -> bytes:
    """The answer: actions (n_action_steps, action_dim) in metres or radians, the first to be executed now."""
    given = np.ascontiguousarray(actions, "<f4")
    packed = {b"__ndarray__": True, b"data": given.tobytes(), b"dtype": "<f4", b"shape": given.shape}
    answer: bytes = msgpack.packb({"actions": packed, "rate_hz": rate_hz, "server_timing": {"infer_ms": milliseconds}})
    return answer


def unpack(content: bytes) -> Mapping[Any, Any]:
    """The map that a client's message is. Raises RequestError where it is none."""
    try:
        value = msgpack.unpackb(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise RequestError(f"the message is not MessagePack: {(str(error) or type(error).__name__)[:200]}") from None
    if not isinstance(value, dict):
        raise RequestError("the message is not a map")
    return value


def _steps(sent: Mapping[Any, Any], source: Source, steps: int, axes: int) -> NDArray[Any]:
    """What is at a source, with a leading axis of so many steps."""
    pointer = "/" + source.key
    values = _values(_found(sent, source.key), pointer)
    if values.ndim == axes + 1:
        return values
    if values.ndim != axes:
        what = "numbers" if axes == 1 else "a picture (height, width, 3)"
        raise _wrong(pointer, f"has shape {list(values.shape)}, must be {what} of the latest step or of {steps} steps")
    return np.repeat(values[None], steps, axis=0)


def _found(sent: Mapping[Any, Any], key: str) -> Any:
    """The value of a key, whole or from map to map along its slashes."""
    if key in sent:
        return sent[key]
    value: Any = sent
    for part in key.split("/"):
        if not isinstance(value, dict) or part not in value:
            named = ", ".join(str(name)[:40] for name in list(sent)[:20])
            raise _wrong("/" + key, f"is missing; the message has {named or 'nothing'}")
        value = value[part]
    return value


def _values(value: Any, pointer: str) -> NDArray[Any]:
    """An array, or nested lists of numbers."""
    if not isinstance(value, dict):
        try:
            values = np.array(value)
        except (ValueError, OverflowError):
            raise _wrong(pointer, "must be an array, or nested lists of equal lengths") from None
        if values.dtype.kind not in "iuf":
            raise _wrong(pointer, "must hold numbers alone")
        return values
    dtype: Any = value.get(b"dtype")
    shape: Any = value.get(b"shape")
    data: Any = value.get(b"data")
    if dtype not in _DTYPES:
        raise _wrong(pointer, f"must be an array of one of {', '.join(sorted(_DTYPES))}, not {str(dtype)[:20]}")
    whole = isinstance(shape, list) and all(type(size) is int and 0 <= size < 2**31 for size in shape)
    if not whole or len(shape) > 8 or not isinstance(data, bytes):
        raise _wrong(pointer, "must have a shape of sizes, and its bytes as data")
    if len(data) != math.prod(shape) * np.dtype(dtype).itemsize:
        raise _wrong(pointer, f"has {len(data)} bytes, which is not shape {shape} of {dtype}")
    values = np.frombuffer(data, np.dtype(dtype)).reshape(shape)
    # Messages of our own have floats and bytes alone.
    return values if values.dtype in (np.uint8, np.float32, np.float64) else values.astype(np.float64)


def _wrong(pointer: str, detail: str) -> RequestError:
    return RequestError("the observation is not what this policy sees", [(pointer, detail)])
