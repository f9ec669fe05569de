"""A strip of pictures of a rollout: rendered where OpenGL works, drawn as poses where it doesn't."""

from typing import Any

import mujoco
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shared.errors import SimulationError
from trainer.simulation.frames import GRIP_SITE, site_pose
from trainer.simulation.offscreen import BACKENDS, draw_states
from trainer.simulation.robosuite_task import RobosuiteTask
from trainer.simulation.scene import Scene, load_scene

FloatArray = NDArray[np.float64]
Image = NDArray[np.uint8]

WIDTH, HEIGHT = 320, 240
_DPI = 80


def render_strip(
    task: RobosuiteTask, positions: NDArray[np.floating[Any]], frames: int = 6, backends: tuple[str, ...] = BACKENDS
) -> list[Image]:
    """Pictures at evenly spaced moments of an episode, first and last included, each (240, 320, 3) uint8.

    Args:
        task: the task.
        positions: (steps + 1, nq) generalized positions, as in `Rollout`.
        frames: how many pictures.
        backends: the kinds of OpenGL to try, in order; with none of them, tool and objects are drawn as poses.
    """
    scene = load_scene(task)
    moments = np.linspace(0, len(positions) - 1, frames).round().astype(int)
    try:
        return list(draw_states(scene.model, positions[moments], [None], (HEIGHT, WIDTH), backends)[:, 0])
    except SimulationError:
        return _drawn(scene, positions, moments)


def _drawn(scene: Scene, positions: NDArray[np.floating[Any]], moments: NDArray[np.int_]) -> list[Image]:
    """The tool's path and axes, and the objects' positions, in the base frame."""
    tools, things = _poses(scene, positions)
    spread = np.concatenate([tools[:, :, 3], things.reshape(-1, 3)])
    low, high = spread.min(0) - 0.05, spread.max(0) + 0.05
    images = []
    for moment in moments:
        figure = Figure(figsize=(WIDTH / _DPI, HEIGHT / _DPI), dpi=_DPI)
        canvas: Any = FigureCanvasAgg(figure)
        axes: Any = figure.add_subplot(projection="3d")
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
        axes.set_box_aspect(high - low)
        axes.plot(*tools[: moment + 1, :, 3].T, color="0.5", linewidth=1)
        for axis, colour in enumerate(("tab:red", "tab:green", "tab:blue")):
            end = tools[moment, :, 3] + 0.05 * tools[moment, :, axis]
            axes.plot(*np.stack([tools[moment, :, 3], end]).T, color=colour)
        for index, thing in enumerate(scene.task.objects):
            axes.scatter(*things[moment, index], marker="s", s=60, label=thing.name)
        axes.legend(fontsize=6, loc="upper right")
        axes.tick_params(labelsize=5)
        figure.subplots_adjust(left=0.0, right=1.0, bottom=0.05, top=1.0)
        canvas.draw()
        images.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return images


def _poses(scene: Scene, positions: NDArray[np.floating[Any]]) -> tuple[FloatArray, FloatArray]:
    """(T, 3, 4) rotation and position of the tool, and (T, objects, 3) positions of the objects."""
    data = mujoco.MjData(scene.model)
    tools, things = [], []
    for row in positions:
        data.qpos[:] = row
        mujoco.mj_kinematics(scene.model, data)
        position, rotation = scene.frames.tcp_from_site(site_pose(data, GRIP_SITE))
        tools.append(np.column_stack([rotation, position]))
        things.append([scene.object_pose(data, thing.name)[0] for thing in scene.task.objects])
    return np.array(tools), np.array(things)
