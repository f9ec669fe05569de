"""Poses and the frames they are in: composition, inversion, and the way from a data set's frames to ours.

Poses are pairs of position (..., 3) [m] and rotation matrix (..., 3, 3), batches first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Pose = tuple[FloatArray, FloatArray]

# The Panda's tool centre point as its link 7 sees it, by the URDF: 0.107 m to the flange, -45 degrees to the hand,
# 0.1034 m to the tool centre point (https://frankaemika.github.io/docs/control_parameters.html and example-robot-data).
_COS_45 = np.sqrt(0.5)
PANDA_WRIST_TCP: Pose = (
    np.array([0.0, 0.0, 0.107 + 0.1034]),
    np.array([[_COS_45, _COS_45, 0.0], [-_COS_45, _COS_45, 0.0], [0.0, 0.0, 1.0]]),
)


def compose(a: Pose, b: Pose) -> Pose:
    """The pose of frame C in A from those of B in A and of C in B."""
    return a[0] + np.einsum("...ij,...j->...i", a[1], b[0]), a[1] @ b[1]


def invert(pose: Pose) -> Pose:
    """The pose of frame A in B from that of B in A."""
    inverse = np.swapaxes(pose[1], -1, -2)
    return -np.einsum("...ij,...j->...i", inverse, pose[0]), inverse


@dataclass(frozen=True, eq=False)
class Frames:
    """The two constant transforms between another program's poses and ours.

    Ours are of the tool centre point in the robot's base frame; the other's are of a site fixed to the tool, in a world
    in which the base stands still.

    Attributes:
        world_base: pose of the robot's base in the world.
        site_tcp: pose of the tool centre point in the site's frame.
    """

    world_base: Pose
    site_tcp: Pose

    def tcp_from_site(self, site: Pose) -> Pose:
        """Pose of the tool centre point in the base frame, from that of the site in the world."""
        return compose(self.base_from_world(site), self.site_tcp)

    def site_from_tcp(self, tcp: Pose) -> Pose:
        """Pose of the site in the world, from that of the tool centre point in the base frame."""
        return compose(compose(self.world_base, tcp), invert(self.site_tcp))

    def base_from_world(self, pose: Pose) -> Pose:
        """A pose in the base frame, from the same in the world."""
        return compose(invert(self.world_base), pose)
