"""What a policy server is sent and answers, as MessagePack (docs/policies.md).

An array is a map {"dtype", "shape", "data"} with its little-endian bytes in C order, or nested lists of numbers.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgpack
import numpy as np
from numpy.typing import NDArray

from shared.errors import RequestError
from trainer.deployment.serving.names import NAME_CHARACTERS
from trainer.training.checkpoint_info import CheckpointInfo

_KEYS = {"policy", "observations", "pictures", "prefix", "current_state", "n_action_steps", "sessions", "steps"}
_FLOATS = ("float32", "float64")
_OVERHEAD_BYTES = 65536
_LIST_BYTES = 9
"""Of a number in nested lists."""


class Observations(NamedTuple):
    """What a call asks actions for.

    Attributes:
        low_dim: (n, n_obs_steps, obs_dim), the keys joined.
        pictures: of each camera, (n, n_picture_steps, height, width, 3).
        prefix: the actions that are fixed already, (n, m, action_dim), NaN in all of a robot's that has none; None
            where no robot has any.
        state: of relative actions, each arm as it is now, (n, action_dim - 1); None where the policy sees it.
        n_action_steps: actions to answer with.
        sessions: name of each robot, or None where chunks are not to be ensembled.
        steps: control steps of each robot since its episode began; as long as `sessions`.
    """

    low_dim: NDArray[np.float32]
    pictures: dict[str, NDArray[np.uint8]]
    prefix: NDArray[np.float32] | None
    state: NDArray[np.float32] | None
    n_action_steps: int
    sessions: list[str] | None
    steps: list[int]


def most_bytes(info: CheckpointInfo, robots: int) -> int:
    """Most bytes that a message of so many robots can need."""
    pixels = sum(3 * math.prod(camera.size) for camera in info.cameras.values())
    seen = info.head.n_obs_steps * _LIST_BYTES * info.condition_dim + info.picture_steps * pixels
    # Of the prefix, and of a state.
    prefix = (info.head.horizon + 1) * _LIST_BYTES * info.normalizer.action_dim
    return robots * (seen + prefix + 2 * NAME_CHARACTERS) + _OVERHEAD_BYTES


def read_map(value: Mapping[str, Any], info: CheckpointInfo, most_robots: int) -> Observations:
    """Reads an unpacked message for a policy.

    Raises RequestError with a pointer to each thing that is wrong.
    """
    unknown = sorted(str(key)[:40] for key in value.keys() - _KEYS)
    if unknown:
        raise _wrong(*((_pointer(key), f"unknown; a message has {', '.join(sorted(_KEYS))}") for key in unknown))
    robots, low_dim = None, []
    given = _map(value, "observations", info.observation_widths)
    for key, width in info.observation_widths.items():
        pointer = _pointer("observations", key)
        low_dim.append(_floats(given[key], pointer, (robots, info.head.n_obs_steps, width)))
        robots = len(low_dim[-1])
    pictures, given = {}, _map(value, "pictures", info.cameras)
    for name, camera in info.cameras.items():
        pointer = _pointer("pictures", name)
        pictures[name] = _bytes(given[name], pointer, (robots, info.picture_steps, *camera.size, 3))
        robots = len(pictures[name])
    if not robots or robots > most_robots:
        raise _wrong(("", f"asks for {robots} robots; 1 to {most_robots} are answered in one message"))
    joined = np.concatenate(low_dim, axis=-1) if low_dim else np.zeros((robots, info.head.n_obs_steps, 0), np.float32)
    prefix = None if value.get("prefix") is None else _prefix(value["prefix"], robots, info)
    state = _state(value.get("current_state"), robots, info)
    n_action_steps, longest = value.get("n_action_steps", info.head.n_action_steps), info.head.longest_answer
    if type(n_action_steps) is not int or not 1 <= n_action_steps <= longest:
        raise _wrong(("/n_action_steps", f"must be 1 to {longest}, all that is predicted from now on"))
    sessions, steps = _sessions(value, robots)
    return Observations(joined, pictures, prefix, state, n_action_steps, sessions, steps)


def write_actions(actions: NDArray[np.float32], rate_hz: float) -> bytes:
    """The answer: actions (n, n_action_steps, action_dim) in metres or radians, the first to be executed now."""
    packed: bytes = msgpack.packb({"actions": array(actions), "rate_hz": rate_hz})
    return packed


def array(values: NDArray[Any]) -> dict[str, Any]:
    """An array as a message has it."""
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return {"dtype": values.dtype.name, "shape": list(values.shape), "data": little.tobytes()}


def unpack(content: bytes) -> Mapping[str, Any]:
    """The map that a message is. Raises RequestError where it is none."""
    try:
        value = msgpack.unpackb(content, strict_map_key=True)
    except (ValueError, TypeError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise RequestError(f"the message is not MessagePack: {reason[:200]}") from None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise RequestError("the message is not a map with text keys")
    return value


def _map(value: Mapping[str, Any], name: str, keys: Mapping[str, Any]) -> Mapping[str, Any]:
    """A map of the message, with exactly these keys; may be left out where there are none."""
    given = value.get(name, {})
    if not isinstance(given, dict):
        raise _wrong((f"/{name}", "must be a map of arrays"))
    missing = [(_pointer(name, key), "is missing") for key in keys if key not in given]
    unknown = [
        (_pointer(name, str(key)[:40]), f"is not seen by this policy, which sees {', '.join(keys) or 'none'}")
        for key in given
        if key not in keys
    ]
    if missing or unknown:
        raise _wrong(*missing, *unknown)
    return given


def _pointer(*keys: str) -> str:
    """RFC 6901 pointer: keys such as `observation/image` are one key, and not two."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def _prefix(value: Any, robots: int, info: CheckpointInfo) -> NDArray[np.float32]:
    """Actions that are fixed already: of each robot numbers alone, or NaN alone."""
    horizon, numbers = info.head.horizon, info.normalizer.action_dim
    values = _floats(value, "/prefix", (robots, None, numbers), lacking=True)
    if not 1 <= values.shape[1] <= horizon:
        raise _wrong(("/prefix", f"has {values.shape[1]} steps, must have 1 to {horizon}"))
    unknown = np.isnan(values).reshape(robots, -1)
    if (unknown.any(1) != unknown.all(1)).any():
        raise _wrong(("/prefix", "must be NaN in all of a robot's numbers or in none"))
    return values


def _state(value: Any, robots: int, info: CheckpointInfo) -> NDArray[np.float32] | None:
    """What relative actions are relative to; None where there is none, or the policy sees it."""
    relative, seen = info.head.relative_actions, info.state_columns is not None
    if value is None and (seen or not relative):
        return None
    if value is None:
        raise _wrong(("/current_state", "is missing: this policy's actions are relative to the arm's state"))
    if not relative:
        raise _wrong(("/current_state", "is not taken: this policy's actions are absolute"))
    return _floats(value, "/current_state", (robots, info.normalizer.action_dim - 1))


def _floats(value: Any, pointer: str, shape: tuple[int | None, ...], *, lacking: bool = False) -> NDArray[np.float32]:
    if isinstance(value, dict):
        values = _encoded(value, pointer, _FLOATS)
    else:
        try:
            values = np.array(value)
        except (ValueError, OverflowError):
            raise _wrong((pointer, "must be an array, or nested lists of equal lengths")) from None
        if values.dtype.kind not in "iuf":
            raise _wrong((pointer, "must hold numbers alone"))
    _check_shape(values, pointer, shape)
    most = np.finfo(np.float32).max
    # Not finite, or no float32: comparing is false for NaN.
    if not np.all((np.abs(values) <= most) | (lacking & np.isnan(values))):
        raise _wrong((pointer, "holds numbers that are not finite"))
    return values.astype(np.float32)


def _bytes(value: Any, pointer: str, shape: tuple[int | None, ...]) -> NDArray[np.uint8]:
    if not isinstance(value, dict):
        raise _wrong((pointer, "pictures are maps of dtype, shape and data"))
    values = _encoded(value, pointer, ("uint8",))
    _check_shape(values, pointer, shape)
    return values


def _encoded(value: Mapping[Any, Any], pointer: str, dtypes: tuple[str, ...]) -> NDArray[Any]:
    if set(value) != {"dtype", "shape", "data"}:
        raise _wrong((pointer, "must be a map of dtype, shape and data"))
    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if dtype not in dtypes:
        raise _wrong((f"{pointer}/dtype", f"must be {' or '.join(dtypes)}"))
    whole = isinstance(shape, list) and all(type(size) is int and 0 <= size < 2**31 for size in shape)
    if not whole or len(shape) > 8:
        raise _wrong((f"{pointer}/shape", "must be a list of sizes"))
    kind = np.dtype(dtype).newbyteorder("<")
    wanted = math.prod(shape) * kind.itemsize
    if not isinstance(data, bytes) or len(data) != wanted:
        raise _wrong((f"{pointer}/data", f"must be {wanted} bytes, for shape {shape} of {dtype}"))
    return np.frombuffer(data, kind).reshape(shape)


def _check_shape(values: NDArray[Any], pointer: str, shape: tuple[int | None, ...]) -> None:
    fits = len(values.shape) == len(shape) and all(
        wanted is None or wanted == size for wanted, size in zip(shape, values.shape, strict=True)
    )
    if not fits:
        names = ["robots", *["steps"] * len(shape)]
        text = ", ".join(name if size is None else str(size) for name, size in zip(names, shape, strict=False))
        raise _wrong((pointer, f"has shape {list(values.shape)}, must have [{text}]"))


def _sessions(value: Mapping[str, Any], robots: int) -> tuple[list[str] | None, list[int]]:
    sessions, steps = value.get("sessions"), value.get("steps")
    if sessions is None and steps is None:
        return None, []
    if not isinstance(sessions, list) or len(sessions) != robots or not all(_is_name(name) for name in sessions):
        raise _wrong(("/sessions", f"must be {robots} names of 1 to {NAME_CHARACTERS} characters"))
    if len(set(sessions)) != robots:
        raise _wrong(("/sessions", "must be different from one another"))
    if not isinstance(steps, list) or not all(type(step) is int and 0 <= step < 2**53 for step in steps):
        raise _wrong(("/steps", "must be control steps since the episode's begin, one for each session"))
    if len(steps) != robots:
        raise _wrong(("/steps", f"must be {robots} numbers, one for each session"))
    return sessions, steps


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= NAME_CHARACTERS


def _wrong(*problems: tuple[str, str]) -> RequestError:
    return RequestError("the message is not valid", list(problems))
