"""An arm made ready for numerics: Pinocchio's model, the same chain as arrays, and its limits."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from services.catalogue import Arm
from services.synthesis.arm.kinematics import Chain, Followers, tool_poses
from shared.errors import RobotError
from shared.robots import JointLimits, RobotSpec

FloatArray = NDArray[np.float64]

PLANNING_MARGIN = 1e-6
"""Share of every limit kept free in planning, so that values rounded to float32 still satisfy the limit itself."""

_FK_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class RobotModel:
    """An arm as synthesis uses it.

    Attributes:
        arm: what is said of it.
        spec: names, limits and frames, as the dataset records them.
        planning_limits: `spec.limits` less PLANNING_MARGIN.
        model: Pinocchio's model, with every joint outside the arm fixed.
        tool_frame_id: index of the tool frame in `model`.
        whole: the same with the joints off the arm that follow it.
        chain: the same arm as arrays.
        followers: those that follow it, likewise.
        chain_offsets: where Pinocchio's frames lie in the chain's, T_chain_joint, as SE3: the base's, those of the
            arm's joints, those of the followers.
        home: the home posture, shape (dof,) [rad or m].
    """

    arm: Arm
    spec: RobotSpec
    planning_limits: JointLimits
    model: Any
    whole: Any
    tool_frame_id: int
    chain: Chain
    followers: Followers
    chain_offsets: tuple[Any, ...]
    home: FloatArray

    @property
    def dof(self) -> int:
        """Number of arm joints."""
        return self.spec.dof

    @property
    def frames(self) -> int:
        """Number of frames that move: the arm's joints', then the followers'."""
        return self.dof + len(self.followers.parent)

    def parent(self, frame: int) -> int:
        """The frame before one, -1 for the base."""
        return frame - 1 if frame < self.dof else int(self.followers.parent[frame - self.dof])

    def link(self, name: str) -> tuple[int, Any]:
        """The frame that moves a link, -1 for the base, and the link's placement in Pinocchio's joint there, an SE3."""
        frame = self.whole.frames[link_frame(self.whole, name)]
        return _frame_number(self.arm, self.whole.names[frame.parentJoint]), frame.placement

    def chain_offset(self, joint: int) -> Any:
        """T_chain_joint as an SE3: where Pinocchio's frame lies in the chain's; -1 is the base's."""
        return self.chain_offsets[joint + 1]

    def tool_poses(self, q: NDArray[np.floating]) -> tuple[FloatArray, FloatArray]:
        """Tool positions (n, 3) [m] and rotation matrices (n, 3, 3) in the base frame, of configurations (n, dof)."""
        configurations = np.ascontiguousarray(q, np.float64)
        position, rotation = np.empty((len(q), 3)), np.empty((len(q), 9))
        tool_poses(self.chain, configurations, position, rotation)
        return position, rotation.reshape(-1, 3, 3)

    def tool_samples(
        self, q: NDArray[np.float32], position: NDArray[np.float32], rotation_6d: NDArray[np.float32]
    ) -> None:
        """Fills tool positions (n, 3) [m] and the first two rows of its rotation (n, 6), as records hold them."""
        tool_poses(self.chain, q, position, rotation_6d)


@functools.lru_cache(maxsize=32)
def robot_model(arm: Arm) -> RobotModel:
    """Loads an arm; the last ones are kept. Raises RobotError."""
    try:
        whole = pin.buildModelFromXML(arm.urdf)
    except ValueError as error:
        raise RobotError(f"robot {arm.name!r}: Pinocchio can't read its URDF: {error}") from error
    following = [whole.getJointId(one.joint.name) for one in arm.followers]
    model = pin.buildReducedModel(whole, following, pin.neutral(whole)) if following else whole
    if tuple(model.names[1:]) != arm.joints:
        raise RobotError(f"robot {arm.name!r}: Pinocchio finds joints {tuple(model.names[1:])}, not {arm.joints}")
    spec = RobotSpec(arm.name, arm.joints, _limits(model, arm), arm.base_frame, arm.tool_frame)
    chain, chain_offsets = _chain(model, arm)
    followers, follower_offsets = _followers(whole, arm, chain_offsets)
    loaded = RobotModel(
        arm=arm,
        spec=spec,
        planning_limits=_shrink(spec.limits),
        model=model,
        whole=whole,
        tool_frame_id=link_frame(model, arm.tool_frame),
        chain=chain,
        followers=followers,
        chain_offsets=(*chain_offsets, *follower_offsets),
        home=np.array(arm.home),
    )
    _check_against_pinocchio(loaded)
    return loaded


def link_frame(model: Any, link: str) -> int:
    """Index of a link's frame. Joints, which may have the same names, are frames to Pinocchio too."""
    return int(model.getFrameId(link, pin.FrameType.BODY))


def _limits(model: Any, arm: Arm) -> JointLimits:
    try:
        return JointLimits(
            model.lowerPositionLimit.copy(),
            model.upperPositionLimit.copy(),
            model.velocityLimit.copy(),
            np.array(arm.acceleration),
            np.array(arm.jerk),
        )
    except ValueError as error:
        raise RobotError(f"robot {arm.name!r}: {error}") from error


def _shrink(limits: JointLimits) -> JointLimits:
    slack, share = PLANNING_MARGIN * (limits.upper - limits.lower), 1 - PLANNING_MARGIN
    return JointLimits(
        limits.lower + slack,
        limits.upper - slack,
        share * limits.velocity,
        share * limits.acceleration,
        share * limits.jerk,
    )


def _chain(model: Any, arm: Arm) -> tuple[Chain, tuple[Any, ...]]:
    """The arm from the base frame on, each joint's frame turned so that its axis is z.

    Returns also how Pinocchio's frames lie in these frames.
    """
    base = model.frames[link_frame(model, arm.base_frame)]
    if base.parentJoint != 0:
        raise RobotError(f"robot {arm.name!r}: its base frame {arm.base_frame!r} is not fixed to the world")
    placement = base.placement.inverse()
    rotations, translations, slides, chain_offsets = [], [], [], [placement]
    for joint in range(1, model.njoints):
        axis, prismatic = _axis(model, joint, arm)
        slides.append(prismatic)
        aligned = pin.SE3(_turn_z_to(axis), np.zeros(3))
        placement = placement * model.jointPlacements[joint] * aligned
        rotations.append(placement.rotation)
        translations.append(placement.translation)
        placement = aligned.inverse()
        chain_offsets.append(placement)
    placement = placement * model.frames[link_frame(model, arm.tool_frame)].placement
    rotation = _snap(np.array([*rotations, placement.rotation]))
    translation = _snap(np.array([*translations, placement.translation]))
    return Chain(rotation, translation, np.array(slides)), tuple(chain_offsets)


def _followers(whole: Any, arm: Arm, chain_offsets: tuple[Any, ...]) -> tuple[Followers, list[Any]]:
    """The joints that follow the arm, and how Pinocchio's frames lie in theirs."""
    parents, placements, slides, offsets = [], [], [], list(chain_offsets)
    for one in arm.followers:
        joint = whole.getJointId(one.joint.name)
        parent = _frame_number(arm, whole.names[whole.parents[joint]])
        axis = np.array(one.joint.axis)
        aligned = pin.SE3(_turn_z_to(axis / np.linalg.norm(axis)), np.zeros(3))
        placements.append(offsets[parent + 1] * whole.jointPlacements[joint] * aligned)
        offsets.append(aligned.inverse())
        parents.append(parent)
        slides.append(one.joint.kind == "prismatic")
    followers = Followers(
        parent=np.array(parents, np.int64),
        rotation=_snap(np.array([placement.rotation for placement in placements]).reshape(-1, 3, 3)),
        translation=_snap(np.array([placement.translation for placement in placements]).reshape(-1, 3)),
        slides=np.array(slides, np.bool_),
        source=np.array([one.source for one in arm.followers], np.int64),
        multiplier=np.array([one.multiplier for one in arm.followers], np.float64),
        offset=np.array([one.offset for one in arm.followers], np.float64),
    )
    return followers, offsets[len(chain_offsets) :]


def _frame_number(arm: Arm, joint: str) -> int:
    """The frame of one of Pinocchio's joints by its name, -1 for the universe."""
    names = [*arm.joints, *(one.joint.name for one in arm.followers)]
    return names.index(joint) if joint in names else -1


def _axis(model: Any, joint: int, arm: Arm) -> tuple[FloatArray, bool]:
    """Axis of a joint in its own frame, read off Pinocchio's motion subspace, and whether it slides along it."""
    if model.parents[joint] != joint - 1 or model.joints[joint].nv != 1 or model.joints[joint].nq != 1:
        raise RobotError(f"robot {arm.name!r}: joint {model.names[joint]!r} is not one of a serial chain")
    data = model.createData()
    pin.computeJointJacobians(model, data, pin.neutral(model))
    motion = pin.getJointJacobian(model, data, joint, pin.LOCAL)[:, joint - 1]
    prismatic = bool(np.linalg.norm(motion[3:]) < 0.5)
    return np.asarray(motion[:3] if prismatic else motion[3:]), prismatic


def _turn_z_to(axis: FloatArray) -> FloatArray:
    """A rotation that takes z to a unit axis."""
    return np.asarray(pin.Quaternion.FromTwoVectors(np.array([0.0, 0.0, 1.0]), axis).toRotationMatrix())


def _snap(values: FloatArray) -> FloatArray:
    """Values within rounding of -1, 0 and 1 made exact: URDFs write right angles as 1.5707963."""
    nearest = np.round(values)
    return np.ascontiguousarray(np.where(np.abs(values - nearest) < 1e-12, nearest, values))


def _check_against_pinocchio(robot: RobotModel) -> None:
    """Raises RobotError if the chain's kinematics differ from Pinocchio's on 64 configurations."""
    limits, rng = robot.spec.limits, np.random.default_rng(0)
    q = limits.lower + rng.random((64, robot.dof)) * (limits.upper - limits.lower)
    position, rotation = robot.tool_poses(q)
    expected = [pinocchio_pose(robot, configuration) for configuration in q]
    error = max(
        float(np.abs(position - [pose.translation for pose in expected]).max()),
        float(np.abs(rotation - [pose.rotation for pose in expected]).max()),
    )
    if not error < _FK_TOLERANCE:
        raise RobotError(f"robot {robot.arm.name!r}: forward kinematics differ from Pinocchio's by {error:.1e}")


def pinocchio_pose(robot: RobotModel, q: NDArray[np.floating]) -> Any:
    """T_base_tool of one configuration by Pinocchio, as an SE3: the reference that ours is checked against."""
    data = robot.model.createData()
    pin.framesForwardKinematics(robot.model, data, np.asarray(q, np.float64))
    base = link_frame(robot.model, robot.arm.base_frame)
    return data.oMf[base].inverse() * data.oMf[robot.tool_frame_id]
