"""Draws frames of a simulation with OpenGL, as a program of its own: `render.py DIRECTORY`.

Which OpenGL is used is fixed when mujoco is imported (MUJOCO_GL), and a broken driver can end the process: so the
caller starts this one. It reads `model.mjb` and `positions.npy` (n, nq) and writes `frames.npy` (n, height, width, 3).
"""

import sys
from pathlib import Path

import mujoco
import numpy as np

WIDTH, HEIGHT = 320, 240
_VISUAL_GROUP = 1  # robosuite's geoms for the eye; group 0 is for collisions

# From ahead of the robot and to its right, at the middle of the table: angles in degrees, lengths in metres.
_LOOK_AT, _AZIMUTH, _ELEVATION, _DISTANCE = (0.0, 0.0, 0.88), 145.0, -28.0, 1.05


def main(directory: Path) -> None:
    """Draws each row of positions.npy."""
    model = mujoco.MjModel.from_binary_path(str(directory / "model.mjb"))
    data = mujoco.MjData(model)
    looks = mujoco.MjvOption()
    looks.geomgroup[:] = 0
    looks.geomgroup[_VISUAL_GROUP] = 1
    camera = mujoco.MjvCamera()
    camera.lookat[:] = _LOOK_AT
    camera.azimuth, camera.elevation, camera.distance = _AZIMUTH, _ELEVATION, _DISTANCE
    frames = []
    with mujoco.Renderer(model, HEIGHT, WIDTH) as renderer:
        for positions in np.load(directory / "positions.npy"):
            data.qpos[:] = positions
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera, looks)
            frames.append(renderer.render())
    np.save(directory / "frames.npy", np.stack(frames))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
