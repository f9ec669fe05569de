"""A summary of demonstrations: what a fitted request carries, and what a dataset is compared with. One JSON object:

    {"format": "headstart-demonstration-summary", "version": 1, "task": "stack", "robot": "panda", "rate_hz": 20.0,
     "action_label": "command", "demonstrations": 40, "held_out": 10, "tolerance": {"position": 0.01, "angle_deg": 5.0},
     "position_range": {"min": [x, y, z], "max": [x, y, z]},
     "chains": [{"position": [[x, y, z], ...], "quat_xyzw": [[x, y, z, w], ...], "duration": [s, ...],
                 "dwell": [s, ...], "gripper": [-1, ...]}, ...],
     "windows": {"horizon": 16, "fitted": {"episode": [0, 0, 1, ...], "values": [[...], ...]}, "held_out": {...}}}

`python -m trainer summarize` writes it; the service takes it from anyone, so every value is checked and bounded here.
Poses are of the tool centre point in the robot's base frame, in metres; a window is horizon * 10 `ee_pose` numbers.
"""

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.checked_json import checked_array, checked_object, checked_text, checked_whole
from shared.errors import SummaryError

FloatArray = NDArray[np.float64]

FORMAT = "headstart-demonstration-summary"
VERSION = 1
MAX_CHAINS = 2000
MAX_WAYPOINTS = 256
"""Of one chain."""
MAX_WINDOWS = 1024
"""In each of the two samples."""
HORIZONS = (2, 64)
ACTION_DIM = 10

_FARTHEST = 10.0
"""Greatest coordinate [m]: that of a request's workspace."""
_LONGEST = 3600.0
"""Greatest duration or dwell [s]."""
_SHORTEST = 0.001
"""Least time of a chain [s]."""
_UNIT = 1e-3
"""How far a quaternion's norm may be from 1."""


@dataclass(frozen=True, eq=False)
class Chain:
    """How one demonstration moved: n waypoints, and straight motions between them.

    Where the gripper changed while the tool stood still, two waypoints have the same pose and no time between them.

    Attributes:
        position: of the tool centre point at each waypoint [m], shape (n, 3).
        quat_xyzw: its orientation, unit quaternions, shape (n, 4).
        duration: of the motion to the next waypoint [s], shape (n - 1,).
        dwell: rest at each waypoint [s], shape (n,).
        gripper: command from each waypoint on, +1 or -1, shape (n,).
    """

    position: FloatArray
    quat_xyzw: FloatArray
    duration: FloatArray
    dwell: FloatArray
    gripper: FloatArray


@dataclass(frozen=True, eq=False)
class Windows:
    """A sample of windows.

    Attributes:
        episode: from which demonstration each is, as any number that others of the same share, shape (n,).
        values: `ee_pose` actions, shape (n, horizon, 10).
    """

    episode: NDArray[np.int64]
    values: FloatArray

    def to_json(self) -> dict[str, Any]:
        """The object of the summary."""
        n, horizon, width = self.values.shape
        return {"episode": self.episode.tolist(), "values": self.values.reshape(n, horizon * width).tolist()}


@dataclass(frozen=True, eq=False)
class DemonstrationSummary:
    """What demonstrations of one task look like.

    Attributes:
        task: its name.
        robot: name of the robot, as in the catalogue.
        rate_hz: control rate of the windows.
        action_label: `command` or `reached`.
        demonstrations: that the chains and fitted windows are of.
        held_out: further demonstrations, of which there are windows alone.
        tolerance: {"position": m, "angle_deg": deg}: how far a demonstrated pose may be from its chain.
        position_range: least and greatest position of all demonstrations, held-out ones too [m], shape (2, 3).
        chains: one for each fitted demonstration.
        fitted_windows: a sample of the fitted demonstrations' windows.
        held_out_windows: likewise of the held-out ones.
    """

    task: str
    robot: str
    rate_hz: float
    action_label: str
    demonstrations: int
    held_out: int
    tolerance: dict[str, float]
    position_range: FloatArray
    chains: tuple[Chain, ...]
    fitted_windows: Windows
    held_out_windows: Windows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DemonstrationSummary) and self.content_sha256 == other.content_sha256

    def __hash__(self) -> int:
        return hash(self.content_sha256)

    @property
    def horizon(self) -> int:
        """Steps in a window."""
        return int(self.fitted_windows.values.shape[1])

    def is_of(self, robot: str) -> bool:
        """Whether they are of the robot called so; a user's own arm is called by its name and a part of its hash."""
        return self.robot in (robot, robot.rpartition("-")[0])

    @functools.cached_property
    def content_sha256(self) -> str:
        """Of the canonical JSON: equal however the file was laid out."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The object that `from_json` turns back into an equal summary."""
        low, high = self.position_range.tolist()
        return {
            "format": FORMAT,
            "version": VERSION,
            **{name: getattr(self, name) for name in _SCALARS},
            "tolerance": self.tolerance,
            "position_range": {"min": low, "max": high},
            "chains": [{name: getattr(chain, name).tolist() for name in _CHAIN} for chain in self.chains],
            "windows": {
                "horizon": self.horizon,
                "fitted": self.fitted_windows.to_json(),
                "held_out": self.held_out_windows.to_json(),
            },
        }

    @classmethod
    def from_json(cls, value: Any) -> "DemonstrationSummary":
        """Reads what `to_json` wrote, from anyone. Raises SummaryError, which says where it is wrong."""
        if isinstance(value, dict) and (value.get("format"), value.get("version")) != (FORMAT, VERSION):
            raise SummaryError(
                "/format", f"must be {FORMAT}, version {VERSION}; `python -m trainer summarize` writes it"
            )
        body = checked_object(value, "", {"format", "version", *_SCALARS, *_PARTS})
        tolerance = checked_object(body["tolerance"], "/tolerance", {"position", "angle_deg"})
        windows = checked_object(body["windows"], "/windows", {"horizon", "fitted", "held_out"})
        horizon = checked_whole(windows["horizon"], "/windows/horizon", *HORIZONS)
        return cls(
            task=checked_text(body["task"], "/task"),
            robot=checked_text(body["robot"], "/robot"),
            action_label=checked_text(body["action_label"], "/action_label"),
            demonstrations=checked_whole(body["demonstrations"], "/demonstrations", 1, 10**6),
            held_out=checked_whole(body["held_out"], "/held_out", 0, 10**6),
            rate_hz=float(checked_array(body["rate_hz"], "/rate_hz", (), 1.0, 1000.0)),
            tolerance={
                name: float(checked_array(tolerance[name], f"/tolerance/{name}", (), 0.0, 180.0)) for name in tolerance
            },
            position_range=_range(body["position_range"], "/position_range"),
            chains=_chains(body["chains"]),
            fitted_windows=_windows(windows["fitted"], "/windows/fitted", horizon),
            held_out_windows=_windows(windows["held_out"], "/windows/held_out", horizon),
        )


_SCALARS = ("task", "robot", "rate_hz", "action_label", "demonstrations", "held_out")
_PARTS = ("tolerance", "position_range", "chains", "windows")
_CHAIN = ("position", "quat_xyzw", "duration", "dwell", "gripper")


def _range(value: Any, where: str) -> FloatArray:
    body = checked_object(value, where, {"min", "max"})
    low, high = (checked_array(body[side], f"{where}/{side}", (3,), -_FARTHEST, _FARTHEST) for side in ("min", "max"))
    if not (low <= high).all():
        raise SummaryError(where, "min must not be above max")
    return np.stack([low, high])


def _chains(value: Any) -> tuple[Chain, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CHAINS:
        raise SummaryError("/chains", f"must be a list of 1 to {MAX_CHAINS} chains")
    return tuple(_chain(entry, f"/chains/{index}") for index, entry in enumerate(value))


def _chain(value: Any, where: str) -> Chain:
    body = checked_object(value, where, set(_CHAIN))
    gripper = checked_array(body["gripper"], f"{where}/gripper", (None,), -1.0, 1.0)
    n = len(gripper)
    if not 2 <= n <= MAX_WAYPOINTS:
        raise SummaryError(where, f"has {n} waypoints; 2 to {MAX_WAYPOINTS} are possible")
    if not (np.abs(gripper) == 1).all():
        raise SummaryError(f"{where}/gripper", "must be +1 (close) or -1 (open)")
    quat = checked_array(body["quat_xyzw"], f"{where}/quat_xyzw", (n, 4), -1.0 - _UNIT, 1.0 + _UNIT)
    norm = np.linalg.norm(quat, axis=1, keepdims=True)
    if not (np.abs(norm - 1) <= _UNIT).all():
        raise SummaryError(f"{where}/quat_xyzw", "must be unit quaternions, scalar last")
    duration = checked_array(body["duration"], f"{where}/duration", (n - 1,), 0.0, _LONGEST)
    dwell = checked_array(body["dwell"], f"{where}/dwell", (n,), 0.0, _LONGEST)
    if duration.sum() + dwell.sum() < _SHORTEST:
        raise SummaryError(where, f"takes no time; {_SHORTEST:g} s is the least")
    return Chain(
        position=checked_array(body["position"], f"{where}/position", (n, 3), -_FARTHEST, _FARTHEST),
        quat_xyzw=quat,
        duration=duration,
        dwell=dwell,
        gripper=gripper,
    )


def _windows(value: Any, where: str, horizon: int) -> Windows:
    body = checked_object(value, where, {"episode", "values"})
    episode = checked_array(body["episode"], f"{where}/episode", (None,), 0, 10**6)
    n = len(episode)
    if n > MAX_WINDOWS:
        raise SummaryError(where, f"has {n} windows; {MAX_WINDOWS} are possible")
    width = horizon * ACTION_DIM
    if n == 0 and body["values"] == []:
        flat = np.empty((0, width))
    else:
        flat = checked_array(body["values"], f"{where}/values", (n, width), -_FARTHEST, _FARTHEST)
    return Windows(episode.astype(np.int64), flat.reshape(n, horizon, ACTION_DIM))
