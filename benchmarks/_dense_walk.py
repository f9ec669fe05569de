"""Where an arm meets itself or a keep-out along a motion, by Pinocchio's placements and Coal's shapes alone.

Nothing here is synthesis' or the audit's. The shapes are the URDF's collision meshes. Of two shapes whose convex hulls
are apart Coal gives the distance of the hulls, and moments are left out only as long as the two can't have come nearer
than FAR since the one that was looked at. Hulls that overlap are looked at at every moment, and count where the meshes
in them do.

Not looked at are shapes that no joint of the arm moves apart, those of neighbours along the arm, pairs of links that
the arm's SRDF says need no check, and pairs whose meshes overlap in its home posture.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from benchmarks._shapes import as_hulls, moving_joints, reach, read_shapes, solid
from services.catalogue import Arm

FloatArray = NDArray[np.float64]

FAR = 0.005
"""Least distances [m] above this are not told exactly."""


@dataclass
class Found:
    """Of some motions: moments, those of a pair at which its distance was computed, those at which something overlaps,
    the least distance of hulls that never overlapped [m], and how often each pair overlapped."""

    moments: int = 0
    looks: int = 0
    colliding: int = 0
    least: float = np.inf
    pairs: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Found") -> None:
        """Adds what was found along other motions."""
        self.moments, self.looks = self.moments + other.moments, self.looks + other.looks
        self.colliding, self.least = self.colliding + other.colliding, min(self.least, other.least)
        for name, count in other.pairs.items():
            self.pairs[name] = self.pairs.get(name, 0) + count


class DenseWalk:
    """An arm of hinges, and what it has to be kept out of."""

    def __init__(self, arm: Arm, joints: list[str], keep_out: list[dict[str, Any]]) -> None:
        """For the joints of the dataset, in its order, and the keep-outs of its request."""
        assert not arm.followers, "no joint may mimic one of the arm's"
        self._model = pin.buildModelFromXML(arm.files.urdf().decode())
        self._rest = pin.neutral(self._model)
        for name, value in arm.rest:
            self._rest[self._model.joints[self._model.getJointId(name)].idx_q] = value
        self._joints = [self._model.getJointId(name) for name in joints]
        assert all(self._model.joints[joint].nq == 1 for joint in self._joints), "only hinges of limited range"
        self._columns = [self._model.joints[joint].idx_q for joint in self._joints]
        self._meshes = read_shapes(arm, self._model)
        links = self._meshes.ngeoms
        base = self._model.frames[self._model.getFrameId(arm.base_frame)]
        assert base.parentJoint == 0, "keep-outs stand where the base does"
        for one in keep_out:
            self._meshes.addGeometryObject(solid(one, base.placement))
        self._hulls = as_hulls(self._meshes)
        self._data = self._model.createData()
        self._pair(self._links_apart(arm, links))
        at_home = self._overlapping(np.array(arm.home))
        apart = [pair for pair, overlaps in zip(self.pairs, at_home, strict=True) if not overlaps]
        self._pair(apart + self._links_and_solids(links))
        self._reach = np.array([self._moved_by(*pair) for pair in self.pairs]).reshape(-1, len(self._joints))

    def names(self) -> list[str]:
        """Of the pairs that are looked at, as `link and link`."""
        shapes = self._meshes.geometryObjects
        return [f"{shapes[a].name} and {shapes[b].name}" for a, b in self.pairs]

    def walk(self, q: FloatArray) -> Found:
        """Looks along a motion of joint positions (N, dof) [rad]."""
        moved = self._reach @ np.abs(np.diff(q, axis=0)).T
        travelled = np.concatenate([np.zeros((len(self.pairs), 1)), np.cumsum(moved, axis=1)], axis=1)
        due, found, place = np.zeros(len(self.pairs), np.int64), Found(moments=len(q)), 0
        while place < len(q):
            posture = self._posture(q[place])
            pin.updateGeometryPlacements(self._model, self._data, self._hulls, self._placed_hulls, posture)
            meshes_are_placed, collides = False, False
            for pair in np.flatnonzero(due <= place).tolist():
                distance = pin.computeDistance(self._hulls, self._placed_hulls, pair).min_distance
                found.looks += 1
                if distance > 0:
                    found.least = min(found.least, distance)
                else:
                    if not meshes_are_placed:
                        pin.updateGeometryPlacements(
                            self._model, self._data, self._meshes, self._placed_meshes, posture
                        )
                        meshes_are_placed = True
                    if pin.computeCollision(self._meshes, self._placed_meshes, pair):
                        collides, name = True, self.names()[pair]
                        found.pairs[name] = found.pairs.get(name, 0) + 1
                safe = travelled[pair, place] + max(distance - FAR, 0.0)
                due[pair] = max(place + 1, int(np.searchsorted(travelled[pair], safe, side="right")))
            found.colliding += collides
            place = int(due.min()) if len(due) else len(q)
        return found

    def _posture(self, q: FloatArray) -> FloatArray:
        posture = self._rest.copy()
        posture[self._columns] = q
        return np.asarray(posture)

    def _pair(self, pairs: list[tuple[int, int]]) -> None:
        """These are the pairs from now on."""
        self.pairs = pairs
        for shapes in (self._meshes, self._hulls):
            shapes.removeAllCollisionPairs()
            for pair in pairs:
                shapes.addCollisionPair(pin.CollisionPair(*pair))
        self._placed_meshes, self._placed_hulls = self._meshes.createData(), self._hulls.createData()

    def _links_apart(self, arm: Arm, links: int) -> list[tuple[int, int]]:
        """The pairs of shapes of the robot that have to stay apart."""
        shapes, unchecked = list(self._meshes.geometryObjects)[:links], arm.files.unchecked_pairs()
        paths = [self._path(shape.parentJoint) for shape in shapes]
        link = [self._model.frames[shape.parentFrame].name for shape in shapes]
        return [
            (a, b)
            for a, b in itertools.combinations(range(links), 2)
            if len(set(paths[a]) ^ set(paths[b])) > 1 and frozenset((link[a], link[b])) not in unchecked
        ]

    def _links_and_solids(self, links: int) -> list[tuple[int, int]]:
        moved = [a for a in range(links) if self._path(self._meshes.geometryObjects[a].parentJoint)]
        return [(a, b) for a in moved for b in range(links, self._meshes.ngeoms)]

    def _overlapping(self, q: FloatArray) -> list[bool]:
        pin.computeCollisions(self._model, self._data, self._meshes, self._placed_meshes, self._posture(q), False)
        return [result.isCollision() for result in self._placed_meshes.collisionResults]

    def _path(self, joint: int) -> list[int]:
        """The arm's joints that move what is fixed to this one."""
        return [one for one in moving_joints(self._model, joint) if one in self._joints]

    def _moved_by(self, first: int, second: int) -> list[float]:
        """How far each joint moves one of two shapes towards the other for each unit of its own motion, at most [m]:
        those that move both don't."""
        moving = [set(self._path(self._meshes.geometryObjects[shape].parentJoint)) for shape in (first, second)]
        hulls = [self._hulls.geometryObjects[shape] for shape in (first, second)]
        return [
            max(reach(self._model, hull, joint) for hull in hulls) if joint in moving[0] ^ moving[1] else 0.0
            for joint in self._joints
        ]
