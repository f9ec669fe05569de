"""Where an episode's arm and objects are, for people who look at rollouts: no policy sees it, unless it observes it.

    joint_position (dof,) [rad or m]
    ee_position (3,) [m], ee_rotation_6d (6,)                           the tool centre point, in the base frame
    object/<name>/position (3,) [m], object/<name>/rotation_6d (6,)     an object, likewise

Names are those of a row's columns. Each is told or not, and then in every step.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.simulation.task import EnvironmentFault, Episode

Reached = dict[str, NDArray[np.float32]]

_WIDTHS = {"joint_position": None, "ee_position": 3, "ee_rotation_6d": 6}
_OBJECTS_WIDTHS = {"position": 3, "rotation_6d": 6}


def read_reached(episode: Episode, before: Mapping[str, NDArray[Any]] | None = None) -> Reached:
    """What an episode tells now; nothing where it has no `reached`.

    Args:
        episode: the episode.
        before: what it told a step ago.

    Raises:
        EnvironmentFault: it tells what has no such name or shape, is not finite, or is not what it told before.
    """
    tells = getattr(episode, "reached", None)
    if tells is None:
        return {}
    found = {str(key): np.asarray(value, np.float32) for key, value in tells().items()}
    for key, numbers in found.items():
        width = _width(key)
        if numbers.ndim != 1 or not numbers.size or width not in (None, numbers.size):
            raise EnvironmentFault(f"reached '{key}' has shape {numbers.shape}, expected ({width or 'joints'},)")
        if not np.isfinite(numbers).all():
            raise EnvironmentFault(f"reached '{key}' is {numbers.tolist()}, which is not finite")
    told, now = (
        {key: value.shape for key, value in one.items()} for one in (found if before is None else before, found)
    )
    if told != now:
        raise EnvironmentFault(f"reached {now}, after {told} in the step before; it must tell the same in every step")
    return found


def _width(key: str) -> int | None:
    """Numbers of a key; None for as many as there are joints."""
    kind, _, rest = key.partition("/")
    name, _, part = rest.rpartition("/")
    if kind == "object" and name and part in _OBJECTS_WIDTHS:
        return _OBJECTS_WIDTHS[part]
    if key not in _WIDTHS:
        raise EnvironmentFault(
            f"reached has '{key}'; it may have {', '.join(_WIDTHS)}, and of each object object/NAME/position and "
            "object/NAME/rotation_6d"
        )
    return _WIDTHS[key]
