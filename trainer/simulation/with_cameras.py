"""Demonstrations of our simulator written once more with pictures of cameras, in robomimic's layout.

    data/demo_i        as in our own file (formats/simulator.py), and obs/<camera>_image [T, H, W, 3]
    mask/train, mask/valid

A mapping beside the file says what a policy sees of it: pictures, tool and fingers, not where the objects are.
"""

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from shared.errors import ConfigError, SimulationError
from shared.rotation import matrix_to_quat_xyzw
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.formats.simulator import Header, read_header
from trainer.data.demonstrations.mapping.mapping_file import toml
from trainer.poses import Pose
from trainer.progress import Progress, silent
from trainer.simulation.observation import ROBOT_KEYS
from trainer.simulation.robosuite_task import RobosuiteTask
from trainer.simulation.scene import load_scene
from trainer.simulation.task import find_task, task_names


def write_with_cameras(
    demos: Path,
    out: Path,
    cameras: Sequence[str],
    size: tuple[int, int],
    *,
    count: int | None = None,
    draw: int | None = None,
    task: str | None = None,
    progress: Progress = silent,
) -> Path:
    """Writes the file and its mapping; the file appears only when it is whole.

    Args:
        demos: a file of our simulator.
        out: the file to write.
        cameras: of the scene.
        size: height and width of the pictures.
        count: the first so many demonstrations; None for all.
        draw: seed that draws `count` of them, and as many more that are held out.
        task: as --task names it, where it is not one of ours; the file says only what it is called.
        progress: told of each demonstration.

    Returns:
        The mapping's path.

    Raises:
        DemonstrationError: `demos` is none of our simulator's files.
        SimulationError: there is no such camera, or nothing can be drawn here.
        ConfigError: no cameras, or a size of no pixels.
    """
    if not cameras or min(size) < 1:
        raise ConfigError("pictures need a camera and a size of at least 1 pixel")
    header = read_header(demos)
    scene = load_scene(_simulated(header, task))
    used = read_demonstrations(demos, count, draw=draw).episodes
    masks: dict[str, list[str]] = {"train": [], "valid": []}
    unfinished = out.with_name(f".{out.name}.{uuid.uuid4().hex}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with h5py.File(demos) as source, h5py.File(unfinished, "w") as file:
            data = file.create_group("data")
            data.attrs["env_args"] = source["data"].attrs["env_args"]
            for place, episode in enumerate(used):
                # Some tasks move bodies of the model from one episode to the next.
                scene.initial_positions(episode.seed)
                states = source[episode.name]["states"][:, 1 : 1 + scene.model.nq]
                pictures = scene.renderer.draw(states, cameras, size)
                name = f"demo_{place}"
                source.copy(episode.name, data, name=name)
                for index, camera in enumerate(cameras):
                    data[name].create_dataset(f"obs/{camera}_image", data=pictures[:, index])
                masks["valid" if episode.validation else "train"].append(name)
                progress(place + 1, len(used), "drawing pictures")
            for mask, names in masks.items():
                file[f"mask/{mask}"] = np.array(names, dtype="S")
        os.replace(unfinished, out)
    finally:
        unfinished.unlink(missing_ok=True)
    mapping = out.with_suffix(".toml")
    mapping.write_text(_mapping(header, cameras))
    return mapping


def _simulated(header: Header, text: str | None) -> RobosuiteTask:
    if text is None and header.task not in task_names():
        raise SimulationError(
            f"the demonstrations are of task '{header.task}', which isn't one of ours; say where it is with --task "
            "package.module:NAME"
        )
    task = find_task(text or header.task)
    if task.name != header.task:
        raise SimulationError(f"the demonstrations are of task '{header.task}', --task {text} is '{task.name}'")
    return task


def _mapping(header: Header, cameras: Sequence[str]) -> str:
    """TOML (docs/your-data.md)."""
    world_base, tool = header.frames.world_base, header.frames.site_tcp
    tables: dict[str, dict[str, Any]] = {
        "action": {"space": "ee_pose", "label": header.action_label},
        "action.position": {"columns": "actions[0:3]"},
        "action.rotation": {"columns": "actions[3:6]", "encoding": "rotation_vector"},
        "action.gripper": {"columns": "actions[6]", "open": -1.0, "closed": 1.0},
        "action.frame.base": _fixed(world_base),
        "action.frame.tool": _fixed(tool),
        "observation": {
            "low_dim": [f"obs/{key}" for key in ROBOT_KEYS],
            "cameras": [f"obs/{camera}_image" for camera in cameras],
        },
        **_pose_tables("state", "tcp"),
    }
    for name, symmetry in header.yaw_symmetry.items():
        tables |= {f"objects.{name}": {"yaw_symmetry": symmetry}, **_pose_tables(f"objects.{name}", name)}
    top = {"task": header.task, "robot": header.robot, "rate_hz": header.rate_hz}
    return toml(top, tables)


def _pose_tables(table: str, name: str) -> dict[str, dict[str, Any]]:
    return {
        f"{table}.position": {"columns": f"obs/{name}_position"},
        f"{table}.rotation": {"columns": f"obs/{name}_rotation_6d", "encoding": "rot6d"},
    }


def _fixed(pose: Pose) -> dict[str, Any]:
    position, rotation = pose
    return {"position": position.tolist(), "quat_xyzw": matrix_to_quat_xyzw(rotation).tolist()}
