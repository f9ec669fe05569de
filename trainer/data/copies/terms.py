"""What the columns of an observation are of kinematics: found by fitting, and verified on every demonstration.

A column may be linear in poses of tool and objects, as positions, differences and rotation matrices are in any fixed
frame; or a distance, a quaternion, or a pose seen from the tool. What is none of these may still be the gripper's own:
a function of the time since it was told to open or close. Anything else can't be told of a copy, and is named.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from shared.rotation import matrix_to_quat_xyzw
from trainer.data.copies.scene import Scene

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-4
"""How far [m, or of a rotation's components] a term may be from what was recorded, at any step."""
GRIPPER_EXPLAINED = 0.9
"""Share of a column's variance that the time since the gripper's last event must explain for it to be the gripper's."""
_LONGEST_PROFILE = 40
"""Steps after an event within which a gripper has done what it was told."""


@dataclass(frozen=True)
class Term:
    """A part of an observation: matrix @ features + offset.

    Attributes:
        key: of the observation.
        first: first component of the key that it gives; `end` the one after its last.
        end: likewise.
        features: names of what it is made of (`features_of`), or "gripper".
        matrix: shape (end - first, features' width), or None for the gripper's, which are carried along.
        offset: shape (end - first,), or None.
    """

    key: str
    first: int
    end: int
    features: tuple[str, ...]
    matrix: FloatArray | None = field(default=None, compare=False)
    offset: FloatArray | None = field(default=None, compare=False)


def features_of(names: Sequence[str]) -> dict[str, Callable[[Scene], FloatArray]]:
    """What terms are made of: how each is computed of a scene, (T, width). `names` are the tool's and the objects'."""

    def position(place: int) -> Callable[[Scene], FloatArray]:
        return lambda scene: scene.position[:, place]

    def rotation(place: int) -> Callable[[Scene], FloatArray]:
        return lambda scene: scene.rotation[:, place].reshape(-1, 9)

    def quaternion(place: int) -> Callable[[Scene], FloatArray]:
        return lambda scene: matrix_to_quat_xyzw(scene.rotation[:, place])

    def seen(place: int) -> Callable[[Scene], FloatArray]:
        return lambda scene: np.einsum(
            "tji,tj->ti", scene.rotation[:, 0], scene.position[:, place] - scene.position[:, 0]
        )

    def turned(place: int) -> Callable[[Scene], FloatArray]:
        return lambda scene: (scene.rotation[:, 0].swapaxes(1, 2) @ scene.rotation[:, place]).reshape(-1, 9)

    def distance(a: int, b: int) -> Callable[[Scene], FloatArray]:
        return lambda scene: np.linalg.norm(scene.position[:, a] - scene.position[:, b], axis=1, keepdims=True)

    places = list(enumerate(names))
    found: dict[str, Callable[[Scene], FloatArray]] = {}
    for place, name in places:
        found |= {f"position of {name}": position(place), f"rotation of {name}": rotation(place)}
    # In whatever order of its numbers: terms are linear.
    found |= {f"quaternion of {name}": quaternion(place) for place, name in places}
    for place, name in places[1:]:
        found[f"position of {name} in the tool's frame"] = seen(place)
        found[f"rotation of {name} in the tool's frame"] = turned(place)
    for (a, first), (b, second) in combinations(places, 2):
        found[f"distance of {first} and {second}"] = distance(a, b)
    return found


def find_terms(
    observations: Mapping[str, Sequence[FloatArray]],
    scenes: Sequence[Scene],
    grippers: Sequence[FloatArray],
    names: Sequence[str],
) -> tuple[list[Term], list[str]]:
    """The terms of all columns, and the keys of which some component can't be told.

    Args:
        observations: of each key, of each demonstration, (T, width).
        scenes: of each demonstration.
        grippers: commands of each demonstration, (T,).
        names: of the tool and the objects.
    """
    features = {
        name: np.concatenate([feature(scene) for scene in scenes]) for name, feature in features_of(names).items()
    }
    since = np.concatenate([_since_event(gripper) for gripper in grippers])
    terms, unknown = [], []
    for key, parts in observations.items():
        values, at = np.concatenate(parts).astype(np.float64), 0
        while at < values.shape[1]:
            term = _kinematic(key, values, at, features) or _gripper(key, values, at, since)
            if term is None:
                unknown.append(key)
                break
            terms.append(term)
            at = term.end
    return terms, unknown


def _kinematic(key: str, values: FloatArray, at: int, features: Mapping[str, FloatArray]) -> Term | None:
    """The longest term that begins at a component, of the fewest features."""
    for width in (9, 6, 4, 3, 1):
        if at + width <= values.shape[1]:
            for names in _groups(features, width):
                found = _fitted(values[:, at : at + width], [features[name] for name in names])
                if found is not None:
                    return Term(key, at, at + width, names, *found)
    return None


def _groups(features: Mapping[str, FloatArray], width: int) -> Iterator[tuple[str, ...]]:
    """Features that numbers of this width may be made of, fewest first."""
    kinds = {
        9: ("rotation",),
        6: ("rotation",),
        4: ("quaternion",),
        3: ("position",),
        1: ("distance", "position"),
    }[width]
    alone = [name for name in features if name.startswith(kinds)]
    yield from ((name,) for name in alone)
    if width == 3:
        yield from combinations([name for name in alone if "frame" not in name], 2)


def _fitted(values: FloatArray, features: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray] | None:
    """Matrix and offset by which features give values, by least squares; None where they don't at every step."""
    joined = np.concatenate([*features, np.ones((len(values), 1))], axis=1)
    # Of columns that never change the least numbers are taken, so that the offset alone says what they are.
    solution = np.linalg.lstsq(joined, values, rcond=1e-9)[0]
    if np.abs(joined @ solution - values).max() > TOLERANCE:
        return None
    return np.asarray(solution[:-1].T), np.asarray(solution[-1])


def _gripper(key: str, values: FloatArray, at: int, since: NDArray[np.int64]) -> Term | None:
    """A term for one component that is the gripper's, if the time since its last event explains it."""
    column = values[:, at]
    means = np.bincount(since, column) / np.maximum(np.bincount(since), 1)
    left, spread = column - means[since], column - column.mean()
    if (left**2).sum() > (1 - GRIPPER_EXPLAINED) * (spread**2).sum():
        return None
    return Term(key, at, at + 1, ("gripper",))


def _since_event(gripper: FloatArray) -> NDArray[np.int64]:
    """A number for each step that tells how long ago which event of the gripper was."""
    closed = gripper > 0
    found = np.empty(len(gripper), np.int64)
    steps = _LONGEST_PROFILE
    for k, now in enumerate(closed):
        steps = 0 if k and now != closed[k - 1] else min(steps + 1, _LONGEST_PROFILE)
        found[k] = 2 * steps + int(now)
    return found
