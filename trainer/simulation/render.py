"""Draws states of a simulation with OpenGL, as a program of its own: `render.py DIRECTORY`.

Which OpenGL is used is fixed when mujoco is imported (MUJOCO_GL), and a broken driver can end the process: so the
caller (offscreen.py) starts this one. It reads `model.mjb`, `positions.npy` (n, nq) and `views.json`, and writes
`pictures.npy` (n, views, height, width, 3) uint8.
"""

import json
import sys
from pathlib import Path

import mujoco
import numpy as np

_VISUAL_GROUP = 1  # robosuite's geoms for the eye; group 0 is for collisions

# From ahead of the robot and to its right, at the middle of the table: angles in degrees, lengths in metres.
_LOOK_AT, _AZIMUTH, _ELEVATION, _DISTANCE = (0.0, 0.0, 0.88), 145.0, -28.0, 1.05


def main(directory: Path) -> None:
    """Draws each row of positions.npy from each view."""
    views = json.loads((directory / "views.json").read_text())
    height, width = views["size"]
    model = mujoco.MjModel.from_binary_path(str(directory / "model.mjb"))
    data = mujoco.MjData(model)
    looks = mujoco.MjvOption()
    looks.geomgroup[:] = 0
    looks.geomgroup[_VISUAL_GROUP] = 1
    cameras = [_onlooker() if name is None else name for name in views["cameras"]]
    pictures = []
    with mujoco.Renderer(model, height, width) as renderer:
        for positions in np.load(directory / "positions.npy"):
            data.qpos[:] = positions
            mujoco.mj_forward(model, data)
            for camera in cameras:
                renderer.update_scene(data, camera, looks)
                pictures.append(renderer.render())
    shape = (-1, len(cameras), height, width, 3)
    np.save(directory / "pictures.npy", np.stack(pictures).reshape(shape))


def _onlooker() -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.lookat[:] = _LOOK_AT
    camera.azimuth, camera.elevation, camera.distance = _AZIMUTH, _ELEVATION, _DISTANCE
    return camera


if __name__ == "__main__":
    main(Path(sys.argv[1]))
