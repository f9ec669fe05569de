"""An expert for gym-aloha: the right arm takes the cube and lifts it. It knows where the cube is; a policy sees it."""

from collections.abc import Iterator

import mujoco
import numpy as np
from numpy.typing import NDArray

from trainer.simulation.gymnasium_task import GymnasiumEpisode

FloatArray = NDArray[np.float64]

ARM = slice(8, 14)  # the right arm's joints among the simulator's
TIP = np.array([0.13, 0.0, 0.0])  # between the fingers, in the gripper's frame, whose x points ahead
OPEN, CLOSED = 1.0, 0.0
TILT = np.deg2rad(60)  # how far down the gripper points


def lift(episode: GymnasiumEpisode) -> Iterator[NDArray[np.float32]]:
    """Above the cube, down, close, up."""
    physics = episode.environment.unwrapped._env.physics
    model, data = physics.model.ptr, physics.data.ptr
    cube = data.body("box").xpos * np.array([1, 1, 0]) + np.array([0, 0, 0.02])
    rest = episode.shown["agent_pos"].copy()
    joints, gripper = rest[7:13], OPEN
    for height, closing, steps in ((0.12, OPEN, 40), (0.005, OPEN, 40), (0.005, CLOSED, 20), (0.12, CLOSED, 60)):
        begin, goal, before = joints, reaching(model, data, cube + np.array([0, 0, height])), gripper
        for share in np.arange(1, steps + 1) / steps:
            smooth = share**2 * (3 - 2 * share)
            joints, gripper = begin + smooth * (goal - begin), before + smooth * (closing - before)
            yield episode.action_of(np.concatenate([rest[:7], joints, [gripper]]))


def reaching(model: mujoco.MjModel, data: mujoco.MjData, tip: FloatArray) -> FloatArray:
    """(6,) joints of the right arm that have its tip at a place in the world, pointing down and away from its base."""
    other = mujoco.MjData(model)
    other.qpos[:] = data.qpos
    mujoco.mj_kinematics(model, other)
    away = (tip - other.body("vx300s_right").xpos) * [1, 1, 0]
    ahead = np.cos(TILT) * away / np.linalg.norm(away) - [0, 0, np.sin(TILT)]
    across = np.cross([0, 0, 1], ahead) / np.cos(TILT)
    wanted = np.stack([ahead, across, np.cross(ahead, across)], axis=1)
    body = model.body("vx300s_right/gripper_link").id
    jacobian = np.zeros((2, 3, model.nv))
    for _ in range(200):
        mujoco.mj_kinematics(model, other)
        mujoco.mj_comPos(model, other)
        rotation = other.xmat[body].reshape(3, 3)
        at = other.xpos[body] + rotation @ TIP
        mujoco.mj_jac(model, other, *jacobian, at, body)
        turn = np.cross(rotation.T, wanted.T).sum(0) / 2
        error, slope = np.concatenate([tip - at, turn]), jacobian[:, :, ARM].reshape(6, 6)
        other.qpos[ARM] += 0.5 * slope.T @ np.linalg.solve(slope @ slope.T + 1e-4 * np.eye(6), error)
    return np.asarray(other.qpos[ARM])
