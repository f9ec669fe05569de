"""One episode of a task in simulation."""

from collections.abc import Mapping
from itertools import combinations

import mujoco
import numpy as np
from numpy.typing import NDArray

from shared.errors import SimulationError
from shared.rotation import matrix_to_rot6d, rot6d_to_matrix
from trainer.poses import Pose
from trainer.simulation.controller import DOF, ArmController
from trainer.simulation.frames import GRIP_SITE, site_pose
from trainer.simulation.observation import Observation
from trainer.simulation.scene import Scene
from trainer.simulation.task import ONLOOKER

FloatArray = NDArray[np.float64]

OPEN, CLOSE = -1.0, 1.0
ACTION_WIDTH = 10

# Objects are dropped from a little above the table, and the gripper starts half open: an episode begins when
# both have come to rest.
_SETTLING_STEPS = 10

_UNSTABLE = (
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
)


def ee_pose_action(pose: Pose, gripper: float) -> FloatArray:
    """(10,) `ee_pose` action of a pose of the tool centre point in the base frame."""
    return np.concatenate([pose[0], matrix_to_rot6d(pose[1]), [gripper]])


class Environment:
    """One simulation of a scene. Several can live side by side, at any point of their episodes.

    Everything follows from the seed given and the actions since, whatever else runs beside it.
    """

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.data = mujoco.MjData(scene.model)
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begins the episode of a seed: robosuite's own initial state, once everything has come to rest."""
        self.seed = seed
        model, data = self.scene.model, self.data
        mujoco.mj_resetData(model, data)
        data.qpos[:] = self.scene.initial_positions(seed)
        mujoco.mj_forward(model, data)
        self._controller = ArmController(model, data, data.qpos[:DOF])
        start = site_pose(data, GRIP_SITE)
        for _ in range(_SETTLING_STEPS):
            self._controller.step(start, OPEN)
        mujoco.mj_kinematics(model, data)
        self._symmetry: dict[str, FloatArray] = {
            thing.name: _nearest_symmetry(self.scene.object_pose(data, thing.name)[1], thing.yaw_symmetry)
            for thing in self.scene.task.objects
        }
        self._rotation = self.tcp_pose()[1]

    @property
    def substeps(self) -> int:
        """Physics steps in a control step."""
        return self._controller.substeps

    def step(self, action: NDArray[np.floating]) -> None:
        """One control step (50 ms) towards an absolute `ee_pose` action (10,).

        A rotation_6d that spans no plane leaves the rotation commanded before.

        Raises:
            SimulationError: the action is not ten finite numbers.
        """
        (position, rotation), gripper = self._read(np.asarray(action)[None])
        self._controller.step((position[0], rotation[0]), gripper)
        # Poses in mjData are those before the last integration: bring them up to the joints.
        mujoco.mj_kinematics(self.scene.model, self.data)

    def step_along(self, actions: NDArray[np.floating]) -> FloatArray:
        """One control step along `ee_pose` actions, one for each physics step (2 ms), with the gripper of the first.

        Args:
            actions: (physics steps, 10), as many as a control step has.

        Returns:
            Where the controlled site was at the beginning of each physics step, (physics steps, 3) [m] in the world.

        Raises:
            SimulationError: they are not that many rows of ten finite numbers.
        """
        (position, rotation), gripper = self._read(actions)
        if len(position) != self.substeps:
            raise SimulationError(f"a control step is {self.substeps} physics steps, not {len(position)}")
        self._controller.move_gripper(gripper)
        site, way = self.data.site(GRIP_SITE).xpos, np.empty((self.substeps, 3))
        for index in range(self.substeps):
            self._controller.substep((position[index], rotation[index]))
            way[index] = site
        mujoco.mj_kinematics(self.scene.model, self.data)
        return way

    def _read(self, actions: NDArray[np.floating]) -> tuple[Pose, float]:
        """The site's goals in the world of actions (n, 10), and the gripper of the first."""
        wanted: FloatArray = np.array(actions, dtype=np.float64)
        if wanted.ndim != 2 or wanted.shape[1] != ACTION_WIDTH or not np.isfinite(wanted).all():
            raise SimulationError(f"an action must be {ACTION_WIDTH} finite numbers, got {wanted.tolist()}")
        rotation = rot6d_to_matrix(wanted[:, 3:9], fallback=self._rotation)
        self._rotation = rotation[-1]
        return self.scene.frames.site_from_tcp((wanted[:, :3], rotation)), float(wanted[0, 9])

    def tcp_pose(self) -> Pose:
        """Pose of the tool centre point in the base frame: position (3,) [m], rotation (3, 3)."""
        return self.scene.frames.tcp_from_site(site_pose(self.data, GRIP_SITE))

    def object_pose(self, name: str) -> Pose:
        """Pose of an object in the base frame, up to its symmetry as `observation.py` describes."""
        position, rotation = self.scene.object_pose(self.data, name)
        return position, rotation @ self._symmetry[name]

    def reached(self) -> dict[str, FloatArray]:
        """Where the arm and the objects are now (reached.py)."""
        position, rotation = self.tcp_pose()
        joints = self.data.qpos[:DOF].copy()
        found = {"joint_position": joints, "ee_position": position, "ee_rotation_6d": matrix_to_rot6d(rotation)}
        for thing in self.scene.task.objects:
            position, rotation = self.object_pose(thing.name)
            found[f"object/{thing.name}/position"] = position
            found[f"object/{thing.name}/rotation_6d"] = matrix_to_rot6d(rotation)
        return found

    def finger_opening(self) -> float:
        """Distance between the fingers [m], 0 to 0.08."""
        return float(self.data.qpos[DOF] - self.data.qpos[DOF + 1])

    def observation(self) -> Observation:
        """What a policy sees now; keys, order and frames in `observation.py`."""
        tcp = self.tcp_pose()
        poses = {thing.name: self.object_pose(thing.name) for thing in self.scene.task.objects}
        fingers = self.data.qpos[DOF : DOF + 2] * [1.0, -1.0]
        values = {"tcp_position": tcp[0], "tcp_rotation_6d": matrix_to_rot6d(tcp[1]), "finger_position": fingers}
        for name, pose in poses.items():
            values |= {f"{name}_position": pose[0], f"{name}_rotation_6d": matrix_to_rot6d(pose[1])}
        values |= {f"tcp_to_{name}": pose[0] - tcp[0] for name, pose in poses.items()}
        for a, b in combinations(poses, 2):
            values[f"{a}_to_{b}"] = poses[b][0] - poses[a][0]
        return {key: value.astype(np.float32) for key, value in values.items()}

    def pictures(self, sizes: Mapping[str, tuple[int, int]]) -> dict[str, NDArray[np.uint8]]:
        """What cameras of the scene see now, (height, width, 3) of the sizes asked for; `onlooker` is one more."""
        found: dict[str, NDArray[np.uint8]] = {}
        for size in set(sizes.values()):
            names = [name for name in sizes if sizes[name] == size]
            cameras = [None if name == ONLOOKER else name for name in names]
            found |= dict(zip(names, self.scene.renderer.draw(self.data.qpos[None], cameras, size)[0], strict=True))
        return found

    def succeeded(self) -> bool:
        """Whether robosuite's own check says so now; what it says of an unstable simulation is worth nothing."""
        return not self.diverged() and self.scene.succeeded(self.data)

    def over(self) -> bool:
        """Whether the episode can't go on."""
        return self.diverged()

    def close(self) -> None:
        """Nothing is held: the scene is the process's."""

    def diverged(self) -> bool:
        """Whether the physics became unstable, upon which MuJoCo starts over: the episode is worth nothing then."""
        return any(self.data.warning[kind].number for kind in _UNSTABLE)

    def state(self) -> FloatArray:
        """(1 + nq + nv,) time [s], generalized positions and velocities: robosuite's flattened state."""
        return np.concatenate([[self.data.time], self.data.qpos, self.data.qvel])


def _nearest_symmetry(rotation: FloatArray, yaw_symmetry: int) -> FloatArray:
    """(3, 3) the turn S about z of the symmetry group that brings `rotation @ S` nearest to the identity."""
    angles = 2 * np.pi / yaw_symmetry * np.arange(yaw_symmetry)
    turns = np.zeros((yaw_symmetry, 3, 3))
    turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angles)
    turns[:, 1, 0] = np.sin(angles)
    turns[:, 0, 1] = -turns[:, 1, 0]
    turns[:, 2, 2] = 1.0
    closeness = np.einsum("ij,kji->k", rotation, turns)
    return np.asarray(turns[closeness.argmax()])
