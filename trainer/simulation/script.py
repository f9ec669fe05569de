"""What the scripted experts are written in: moving, arriving, grasping, releasing.

Every wait ends on something that can be observed (the tool has arrived, the fingers have stopped), never on a
clock: what a policy has to imitate is then a function of what it sees. The one exception is the hesitation of an expert
whose `Manner` has some, as people's demonstrations do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.poses import Pose
from trainer.simulation.environment import CLOSE, OPEN, Environment, ee_pose_action
from trainer.simulation.motion import PEAK_SPEED, Stroke, follow

FloatArray = NDArray[np.float64]
Actions = Iterator[FloatArray]

_MOST_WAITING = 20  # control steps
_MANNER_STREAM = 1  # beside 0, that of the initial state
_PACES, _HEIGHTS, _MOST_ASIDE = (0.7, 1.1), (0.8, 1.5), 0.02
_HESITATING, _PLACES = 0.25, 8
_STOPPED = 2e-4  # change of the finger opening per control step that counts as none [m]


@dataclass(frozen=True)
class Manner:
    """How one demonstration is carried out, as far as people differ from one time to the next.

    Attributes:
        pace: peak speed as a share of PEAK_SPEED.
        height: of the point above a grasp from which the hand comes down, as a share of the script's own.
        aside: where that point lies beside the grasp (3,) [m], in the base frame; z is 0.
        hesitations: control steps for which the hand stands still, one number for each `Script.hesitate()`.
    """

    pace: float = 1.0
    height: float = 1.0
    aside: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hesitations: tuple[int, ...] = ()


def drawn_manner(seed: int) -> Manner:
    """The manner of an episode: paces of 0.7 to 1.1, points up to 2 cm aside, and in a quarter of places a hesitation.

    From a stream of its own, so that the initial state of the seed is what it is without.
    """
    draw = np.random.default_rng([seed, _MANNER_STREAM])
    x, y = draw.uniform(-_MOST_ASIDE, _MOST_ASIDE, 2)
    still = np.where(draw.random(_PLACES) < _HESITATING, draw.integers(2, 9, _PLACES), 0)
    return Manner(draw.uniform(*_PACES), draw.uniform(*_HEIGHTS), (float(x), float(y), 0.0), tuple(still.tolist()))


class Script:
    """The pose and gripper commanded last, and motions that go on from there; each yields actions.

    The caller carries out every action before it asks for the next.
    """

    def __init__(self, environment: Environment, manner: Manner | None = None) -> None:
        self.environment = environment
        self.pose: Pose = environment.tcp_pose()
        self.gripper = OPEN
        self.manner = manner or Manner()
        self._hesitations = iter(self.manner.hesitations)

    def before(self, grasp: FloatArray, hover: float) -> FloatArray:
        """Position [m] from which the hand comes down to a grasp, `hover` [m] above it in the plainest manner."""
        return np.asarray(above(grasp, hover * self.manner.height) + np.array(self.manner.aside), np.float64)

    def hesitate(self) -> Actions:
        """Holds the command for as long as the manner says."""
        for _ in range(next(self._hesitations, 0)):
            yield ee_pose_action(self.pose, self.gripper)

    def move(self, *strokes: Stroke, until: Callable[[], bool] = lambda: False) -> Actions:
        """Through the strokes, or to where `until` becomes true."""
        for pose in follow(self.pose, strokes, PEAK_SPEED * self.manner.pace):
            if until():
                return
            self.pose = pose
            yield ee_pose_action(self.pose, self.gripper)

    def wait(self, until: Callable[[], bool]) -> Actions:
        """Holds the command until `until` becomes true."""
        for _ in range(_MOST_WAITING):
            if until():
                return
            yield ee_pose_action(self.pose, self.gripper)

    def arrive(self, tolerance: float) -> Actions:
        """Holds the command until the tool is within `tolerance` [m] of it.

        A tolerance of more than a policy's own error: else it would now and then wait for ever.
        """
        yield from self.wait(lambda: bool(np.linalg.norm(self.environment.tcp_pose()[0] - self.pose[0]) < tolerance))

    def grasp(self) -> Actions:
        """Closes the gripper until the fingers stop."""
        self.gripper = CLOSE
        yield from self._until_fingers_stop()

    def release(self) -> Actions:
        """Opens the gripper until the fingers stop."""
        self.gripper = OPEN
        yield from self._until_fingers_stop()

    def _until_fingers_stop(self) -> Actions:
        moved = False
        for _ in range(_MOST_WAITING):
            before = self.environment.finger_opening()
            yield ee_pose_action(self.pose, self.gripper)
            change = abs(self.environment.finger_opening() - before)
            if moved and change < _STOPPED:
                return
            moved = moved or change > _STOPPED


def facing_down(yaw: float, lean: float = 0.0) -> FloatArray:
    """(3, 3) rotation of the tool with its z axis down, x forward, turned by `yaw` [rad] about the base's z.

    `lean` [rad] then turns it about its closing axis, so that the fingers point outwards and the wrist stays nearer
    to the base.
    """
    cos, sin = np.cos(yaw), np.sin(yaw)
    out, down = np.cos(lean), np.sin(lean)
    return np.array([[cos * out, sin, cos * down], [sin * out, -cos, sin * down], [down, 0.0, -out]])


def yaw_of(rotation: FloatArray) -> float:
    """Yaw [rad] of an object's x axis about the base's z."""
    return float(np.arctan2(rotation[1, 0], rotation[0, 0]))


def above(position: FloatArray, height: float) -> FloatArray:
    """The position `height` [m] higher."""
    return position + np.array([0.0, 0.0, height], dtype=position.dtype)
