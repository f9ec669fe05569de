"""What an arm's links may not touch, looked at ahead of every command. Extra `[kinematics]`: Pinocchio and Coal."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coal
import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from headstart_client.kinematics import Kinematics
from headstart_client.limits import ArmLimits, Array
from headstart_client.stopping import State, Stop

_SHORTEST_S = 1e-3
"""Of a step of the walk; close by, clearance is looked at so often and not proved in between [s]."""
_MOST_STEPS = 100
"""Of a walk."""
_LEEWAY_M = 1e-3
"""Beyond the margin, of motions that lead away [m]: they begin with a turn of some joints that may dip a little."""
_AHEAD_S = 0.05
"""How far ahead it shows whether a motion leads away [s]."""


@dataclass(frozen=True)
class Box:
    """A box that stands still, in the arm's base frame.

    Attributes:
        name: for the event log.
        center: (3,) [m].
        size: (3,) whole edges [m].
        rotation: (3, 3) of the box; None is none.
    """

    name: str
    center: Sequence[float] | Array
    size: Sequence[float] | Array
    rotation: Array | None = None


class Keepouts:
    """Boxes, and with an SRDF the arm itself, which its links stay `margin_m` away from.

    A link is the convex hull of its collision geometry. From one posture to the next no point of it moves farther than
    the joints' turning times its greatest distance from their axes; where that is less than the clearance, nothing can
    be touched on the way. So clearances are computed seldom far away, and at every command close by, where one tick may
    take some milliseconds. For one executor.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        limits: ArmLimits,
        boxes: Sequence[Box],
        *,
        margin_m: float = 0.01,
        package_dirs: Sequence[str | Path] = (),
        srdf: str | None = None,
    ) -> None:
        """Reads the links' geometry.

        Args:
            kinematics: of the arm.
            limits: of its joints.
            boxes: to keep out of.
            margin_m: distance to keep [m]; motions that lead towards something stop 1 mm before.
            package_dirs: folders that `package://` in the URDF is below.
            srdf: text that names pairs of links that need no check; None looks at no link against another.

        Raises ValueError: a mesh is missing, or the arm has no collision geometry.
        """
        self._model, self._geometry = kinematics.model, kinematics.collision_geometry([str(d) for d in package_dirs])
        self._data, self._margin = self._model.createData(), margin_m + _LEEWAY_M
        # Speed goes on by a^2 / 2j while a stop brings the acceleration to none, at a jerk a little below the limit.
        self._jerk = 0.99 * limits.jerk
        links = [_hull(link) for link in self._geometry.geometryObjects]
        moving = [index for index, link in enumerate(links) if link.parentJoint > 0]
        if not moving:
            raise ValueError("the URDF has no collision geometry on links that move")
        names = [link.name for link in links]
        reach = {index: _reach(self._model, links[index], limits) for index in moving}
        self._names, rows = list[str](), list[Array]()
        for a, b in itertools.product(range(len(links)), moving) if srdf is not None else ():
            # Neighbours touch where they are joined.
            if links[b].parentJoint > links[a].parentJoint + 1:
                self._geometry.addCollisionPair(pin.CollisionPair(a, b))
        if srdf is not None:
            pin.removeCollisionPairsFromXML(self._model, self._geometry, srdf)
        for pair in self._geometry.collisionPairs:
            # What moves both of them together takes neither nearer to the other.
            both = np.arange(limits.dof) < links[pair.first].parentJoint
            rows.append(np.where(both, 0.0, reach[pair.second]))
            self._names.append(f"{names[pair.second]} to {names[pair.first]}")
        for box in boxes:
            added = self._geometry.addGeometryObject(_solid(box, kinematics.base))
            for index in moving:
                self._geometry.addCollisionPair(pin.CollisionPair(index, added))
                rows.append(reach[index])
                self._names.append(f"{names[index]} to {box.name!r}")
        self._reach, self._distances = np.array(rows), pin.GeometryData(self._geometry)
        # Of each pair, where the arm was when it was looked at last, and how far it was then from where motions stop.
        self._postures, self._room = np.zeros((len(rows), limits.dof)), np.full(len(rows), -np.inf)

    def clearances(self, joints: Array) -> Array:
        """How far every pair that is looked at is from where motions must stop [m], at joints (dof,)."""
        return self._clearances(joints, np.arange(len(self._names)))

    def _clearances(self, joints: Array, pairs: NDArray[np.intp]) -> Array:
        pin.updateGeometryPlacements(self._model, self._data, self._geometry, self._distances, joints)
        found = [pin.computeDistance(self._geometry, self._distances, pair).min_distance for pair in pairs.tolist()]
        return np.array(found) - self._margin

    def meets(self, state: State, stop: Stop) -> str | None:
        """What the arm would come too near to in a state or on the stop from it, in words; None if to nothing."""
        low, high = stop.extremes()
        unsure, position = self._unsure(low, high), np.array(state.position)
        if len(unsure):
            self._postures[unsure], self._room[unsure] = position, self._clearances(position, unsure)
            unsure = self._unsure(low, high)
        if not len(unsure):
            return None
        met = self._walk(state, stop, unsure, 0.0)
        return self._walk(state, stop, unsure, -_LEEWAY_M) if met and self._leads_away(state, unsure) else met

    def _leads_away(self, state: State, pairs: NDArray[np.intp]) -> bool:
        """Whether a motion leads away from everything that is near, of pairs whose room is the state's."""
        position, velocity, acceleration = (np.array(row) for row in state)
        near = pairs[self._room[pairs] < _LEEWAY_M]
        ahead = self._clearances(position + _AHEAD_S * velocity + _AHEAD_S**2 / 2 * acceleration, near)
        return bool((ahead > self._room[near]).all())

    def _unsure(self, low: Array, high: Array) -> NDArray[np.intp]:
        """The pairs that may touch somewhere between joint positions, as far as their last clearances tell."""
        moved = np.maximum(np.abs(low - self._postures), np.abs(high - self._postures))
        return np.flatnonzero(~(np.einsum("ij,ij->i", self._reach, moved) < self._room))

    def _walk(self, state: State, stop: Stop, pairs: NDArray[np.intp], floor: float) -> str | None:
        """Along the stop, each time as far as clearance above a floor allows, or as far as the shortest step.

        The other pairs touch nowhere on it.
        """
        time, room, reach = 0.0, self._room[pairs] - floor, self._reach[pairs]
        for _ in range(_MOST_STEPS):
            if room.min() <= 0:
                break
            _, velocity, acceleration = (np.array(row) for row in state)
            pace = reach @ (np.abs(velocity) + acceleration**2 / (2 * self._jerk))
            step = float(np.min(room / np.maximum(pace, 1e-9)))
            if time + step >= stop.duration:
                return None
            # The end of the stop is looked at too: an arm that rests is never inside.
            time = min(time + max(step, _SHORTEST_S), stop.duration)
            state = stop.at(time)
            room = self._clearances(np.array(state.position), pairs) - floor
        return self._names[int(pairs[np.argmin(room)])]


def _hull(link: Any) -> Any:
    """A geometry object whose mesh, if it is one, is replaced by its convex hull."""
    if isinstance(link.geometry, coal.BVHModelBase):
        link.geometry.buildConvexHull(True, "Qt")
        link.geometry = link.geometry.convex
    return link


def _solid(box: Box, base: Any) -> Any:
    rotation = np.eye(3) if box.rotation is None else box.rotation
    placement = base * pin.SE3(rotation, np.array(box.center, np.float64))
    return pin.GeometryObject(f"keep-out {box.name}", 0, placement, coal.Box(*map(float, box.size)))


def _reach(model: Any, link: Any, limits: ArmLimits) -> Array:
    """How far a unit of each joint moves any point of a link at most, (dof,) [m/rad or 1]."""
    link.geometry.computeLocalAABB()
    center = link.placement.act(np.array(link.geometry.aabb_center))
    far = float(np.linalg.norm(center)) + float(link.geometry.aabb_radius)
    reach = np.zeros(limits.dof)
    for joint in range(link.parentJoint, 0, -1):
        slides = "P" in model.joints[joint].shortname()
        reach[joint - 1] = 1.0 if slides else far
        travel = float(max(abs(limits.lower[joint - 1]), abs(limits.upper[joint - 1]))) if slides else 0.0
        far += float(np.linalg.norm(model.jointPlacements[joint].translation)) + travel
    return reach
