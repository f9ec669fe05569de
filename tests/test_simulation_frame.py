"""A generated pose and a simulated one are the same kind of number: Pinocchio's tool frame against robosuite's."""

from importlib.util import find_spec
from pathlib import Path

import mujoco
import numpy as np
import pinocchio

from shared.rotation import geodesic_angle
from trainer.simulation.frames import GRIP_SITE, site_pose
from trainer.simulation.scene import load_scene
from trainer.simulation.task import find_task

TOOL_FRAME = "panda_hand_tcp"
URDF = "cmeel.prefix/share/example-robot-data/robots/panda_description/urdf/panda.urdf"


def urdf_path() -> Path:
    spec = find_spec("pinocchio")
    assert spec is not None
    assert spec.origin is not None
    return next(folder / URDF for folder in Path(spec.origin).parents if (folder / URDF).is_file())


def test_tool_pose_equals_pinocchio_on_random_configurations() -> None:
    scene = load_scene(find_task("lift"))
    data = mujoco.MjData(scene.model)
    arm = pinocchio.buildModelFromUrdf(str(urdf_path()))
    arm_data = arm.createData()
    tool = arm.getFrameId(TOOL_FRAME)
    q = pinocchio.neutral(arm)
    rng = np.random.default_rng(0)
    configurations = rng.uniform(arm.lowerPositionLimit[:7], arm.upperPositionLimit[:7], size=(500, 7))

    sites = []
    wanted = []
    for joints in configurations:
        data.qpos[:7] = joints
        mujoco.mj_kinematics(scene.model, data)
        sites.append(site_pose(data, GRIP_SITE))
        q[:7] = joints
        pinocchio.framesForwardKinematics(arm, arm_data, q)
        wanted.append((arm_data.oMf[tool].translation.copy(), arm_data.oMf[tool].rotation.copy()))
    site_position, site_rotation = (np.stack(part) for part in zip(*sites, strict=True))
    wanted_position, wanted_rotation = (np.stack(part) for part in zip(*wanted, strict=True))
    position, rotation = scene.frames.tcp_from_site((site_position, site_rotation))

    assert np.abs(position - wanted_position).max() < 1e-5  # 0.01 mm
    assert np.rad2deg(geodesic_angle(rotation, wanted_rotation)).max() < 1e-3
    back_position, back_rotation = scene.frames.site_from_tcp((position, rotation))
    assert np.abs(back_position - site_position).max() < 1e-12
    assert np.abs(back_rotation - site_rotation).max() < 1e-12
