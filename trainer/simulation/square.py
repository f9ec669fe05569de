"""Square: put the square nut around the square peg, both anywhere within 25 cm of the table's middle (square_d2).

robosuite's peg stands at one place. Here it is drawn for every episode: the one model of the process has a peg that can
slide and turn, though not by anything that the arm could do to it.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.rotation import rotvec_to_matrix
from trainer.poses import Pose
from trainer.simulation.environment import Environment
from trainer.simulation.motion import Stroke
from trainer.simulation.robosuite_env import make_robosuite, quiet_import
from trainer.simulation.robosuite_task import RobosuiteTask, SceneObject
from trainer.simulation.script import Script, above, drawn_manner, facing_down, yaw_of

FloatArray = NDArray[np.float64]

_ROBOSUITE_NAME = "NutAssemblySquareD2"
_PLACEMENT_RANGE = 0.25  # MimicGen's D2 reset range of nut and peg [m]; the peg's yaw is one of 0 to 90 degrees
_APART = 0.17  # least distance between nut and peg [m]
_PEG_JOINTS = {"peg1_x": ("slide", "1 0 0"), "peg1_y": ("slide", "0 1 0"), "peg1_yaw": ("hinge", "0 0 1")}
_PEG_DAMPING = 1e7  # [N s/m, N m s/rad]: pushed with 100 N, the peg goes 0.01 mm a second
_OUT_OF_THE_WAY = "10 10 0.85"

_HANDLE = 0.064  # from the nut's centre to where it is held, along its x axis [m]
_PEG_HALF_HEIGHT = 0.10
_HOVER = 0.08  # above the grasp [m]
_OVER_PEG = 0.03  # of the nut's centre above the peg's top, on the way there [m]
_AROUND = -0.075  # where the nut is put down: its height relative to the peg's centre, 1.5 cm above the table [m]
_LOW_ENOUGH = 0.01  # above that, where it is let go [m]
_RETREAT = 0.10

# The tool leans outwards in proportion to how far out the farther of nut and peg is, for the reach.
_LEAN_FROM, _LEAN_TO = 0.60, 0.80  # distance from the base [m]
_MOST_LEAN = np.deg2rad(25.0)
_REACH_COST = 8.0  # how far the wrist may turn for a place to be nearer to the base [rad/m]


def _make_env() -> Any:
    with quiet_import():
        from robosuite.utils.placement_samplers import UniformRandomSampler
    _register()
    env = make_robosuite(_ROBOSUITE_NAME)
    # In the place of robosuite's two samplers, which would not follow the seed of the episode.
    env.placement_initializer = UniformRandomSampler(
        name="ObjectSampler",
        mujoco_objects=[env.nuts[0]],
        x_range=[-_PLACEMENT_RANGE, _PLACEMENT_RANGE],
        y_range=[-_PLACEMENT_RANGE, _PLACEMENT_RANGE],
        rotation=None,
        ensure_object_boundary_in_range=False,
        reference_pos=env.table_offset,
        z_offset=0.02,
    )
    return env


def _register() -> None:
    """Makes the environment known to robosuite, which does so for every class derived from one of its own."""
    with quiet_import():
        from robosuite.environments.manipulation.nut_assembly import NutAssemblySquare

    class NutAssemblySquareD2(NutAssemblySquare):  # type: ignore[misc]  # robosuite has no type information
        """robosuite's NutAssemblySquare with a peg whose place is part of the state; the round peg is far away."""

        def _load_model(self) -> None:
            super()._load_model()
            bodies = {body.get("name"): body for body in self.model.worldbody.findall("body")}
            bodies["peg2"].set("pos", _OUT_OF_THE_WAY)
            peg = bodies["peg1"]
            # The arm's joints come first in the state, so the peg must come last.
            self.model.worldbody.remove(peg)
            self.model.worldbody.append(peg)
            peg.set("pos", "0 0 " + peg.get("pos", "").split()[2])
            for index, (name, (kind, axis)) in enumerate(_PEG_JOINTS.items()):
                peg.insert(index, ET.Element("joint", name=name, type=kind, axis=axis, damping=str(_PEG_DAMPING)))
            # It stands in the table, which matters to a body that has joints.
            ET.SubElement(self.model.contact, "exclude", body1="peg1", body2="table")

        def _reset_internal(self) -> None:
            super()._reset_internal()
            nut = self.sim.data.get_joint_qpos(self.nuts[0].joints[0])[:2]
            peg = nut
            while np.linalg.norm(peg - nut) < _APART:
                peg = self.rng.uniform(-_PLACEMENT_RANGE, _PLACEMENT_RANGE, 2)
            for joint, value in zip(_PEG_JOINTS, [*peg, self.rng.uniform(0.0, np.pi / 2)], strict=True):
                self.sim.data.set_joint_qpos(joint, value)


def _expert(environment: Environment) -> Iterator[FloatArray]:
    script = Script(environment, drawn_manner(environment.seed))
    nut, peg = environment.object_pose("nut"), environment.object_pose("peg")
    grasp, turn = _plan(nut, peg)
    yield from script.hesitate()
    yield from script.move(Stroke((script.before(grasp[0], _HOVER), grasp[1])), Stroke(grasp, overlap=0.4))
    yield from script.arrive(0.012)
    yield from script.grasp()

    goal = peg[1] @ turn
    top = above(peg[0], _PEG_HALF_HEIGHT + _OVER_PEG)
    lifted = above(grasp[0], top[2] - nut[0][2])
    over = _tool_for(environment, top, goal)
    yield from script.move(Stroke((lifted, grasp[1])), Stroke(over, overlap=0.2))
    yield from script.arrive(0.01)
    yield from script.hesitate()
    # The nut may have turned in the hand on the way.
    yield from script.move(Stroke(_tool_for(environment, top, goal)))
    yield from script.arrive(0.006)
    down = _tool_for(environment, above(peg[0], _AROUND), goal)
    yield from script.move(Stroke(down), until=lambda: _is_around(environment))
    yield from script.wait(until=lambda: _is_around(environment))
    yield from script.release()
    yield from script.move(Stroke((above(down[0], _RETREAT), down[1])))


def _is_around(environment: Environment) -> bool:
    """Whether the nut is as far down as it is let go, as seen from its height and the peg's."""
    height = environment.object_pose("nut")[0][2] - environment.object_pose("peg")[0][2]
    return bool(height < _AROUND + _LOW_ENOUGH)


def _tool_for(environment: Environment, position: FloatArray, rotation: FloatArray) -> Pose:
    """Pose of the tool that brings the nut, as it sits in the hand now, to a position and a rotation."""
    tool, nut = environment.tcp_pose(), environment.object_pose("nut")
    turned = rotation @ nut[1].T @ tool[1]
    return position - turned @ tool[1].T @ (nut[0] - tool[0]), turned


def _plan(nut: Pose, peg: Pose) -> tuple[Pose, FloatArray]:
    """Where to grasp the nut, and how it is to lie on the peg, as a turn (3, 3) of the peg's rotation.

    The handle can be held from two sides, and the nut goes around the peg in four ways: of these, the one for which
    the wrist turns least and the arm need not reach far.
    """
    grasp = nut[0] + _HANDLE * nut[1][:, 0]
    best, plan = np.inf, None
    for flip, quarter in product((0.0, np.pi), range(4)):
        turn = rotvec_to_matrix(np.array([0.0, 0.0, quarter * np.pi / 2]))
        place = peg[0] + _HANDLE * (peg[1] @ turn)[:, 0]
        yaw = yaw_of(nut[1]) + flip
        bend = max(_bend(yaw, grasp), _bend(yaw_of(peg[1] @ turn) + flip, place))
        cost = bend + _REACH_COST * max(_distance(place) - _LEAN_FROM, 0.0)
        if cost < best:
            lean = _lean(max(_distance(grasp), _distance(place)), bend)
            best, plan = cost, ((grasp, facing_down(yaw, lean)), turn)
    assert plan is not None
    return plan


def _distance(position: FloatArray) -> float:
    """Distance from the axis of the base [m]."""
    return float(np.hypot(*position[:2]))


def _lean(farthest: float, bend: float) -> float:
    """Angle [rad] by which the tool leans outwards; less, the less it faces away from the base."""
    share = np.clip((farthest - _LEAN_FROM) / (_LEAN_TO - _LEAN_FROM), 0.0, 1.0)
    return float(_MOST_LEAN * share * max(np.cos(bend), 0.0))


def _bend(yaw: float, position: FloatArray) -> float:
    """Angle [rad] between the tool's x axis and the way out from the base, for a yaw of the tool at a position."""
    away = yaw - np.arctan2(position[1], position[0])
    return float(abs((away + np.pi) % (2 * np.pi) - np.pi))


TASK = RobosuiteTask(
    name="square",
    robosuite_name=_ROBOSUITE_NAME,
    make_env=_make_env,
    objects=(SceneObject("nut", "SquareNut_main"), SceneObject("peg", "peg1", yaw_symmetry=4)),
    episode_limit=330,
    expert=_expert,
)
