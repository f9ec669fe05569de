"""Draws states of a simulation with OpenGL, as a program of its own: `render.py MODEL.mjb`.

Which OpenGL is used is fixed when mujoco is imported (MUJOCO_GL), and a broken driver can end the process: so the
caller (offscreen.py) starts this one. It writes a newline when it has the model, and then answers requests until its
input ends: a line of JSON {"cameras", "size", "count"} and `count` generalized positions (nq,) float64 become
(count, cameras, height, width, 3) uint8. After the line come the poses of bodies in their parents (nbody, 7), which
some tasks change from one episode to the next.
"""

import json
import os
import sys
from typing import Any, BinaryIO

import mujoco
import numpy as np

_VISUAL_GROUP = 1  # robosuite's geoms for the eye; group 0 is for collisions

# From ahead of the robot and to its right, at the middle of the table: angles in degrees, lengths in metres.
_LOOK_AT, _AZIMUTH, _ELEVATION, _DISTANCE = (0.0, 0.0, 0.88), 145.0, -28.0, 1.05


def main(path: str) -> None:
    """Answers requests on the standard streams."""
    # What drivers print must not end up among pictures.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    model = mujoco.MjModel.from_binary_path(path)
    output.write(b"\n")
    output.flush()
    answer(model, sys.stdin.buffer, output)


def answer(model: mujoco.MjModel, requests: BinaryIO, output: BinaryIO) -> None:
    """Draws what is asked for."""
    data, looks = mujoco.MjData(model), mujoco.MjvOption()
    looks.geomgroup[:] = 0
    looks.geomgroup[_VISUAL_GROUP] = 1
    renderers: dict[tuple[int, ...], Any] = {}
    while line := requests.readline():
        asked = json.loads(line)
        size = tuple(asked["size"])
        if size not in renderers:
            renderers[size] = mujoco.Renderer(model, *size)
        cameras = [_onlooker() if name is None else name for name in asked["cameras"]]
        bodies = np.frombuffer(requests.read(8 * model.nbody * 7), np.float64).reshape(-1, 7)
        model.body_pos[:], model.body_quat[:] = bodies[:, :3], bodies[:, 3:]
        rows = np.frombuffer(requests.read(8 * model.nq * asked["count"]), np.float64).reshape(-1, model.nq)
        for positions in rows:
            data.qpos[:] = positions
            mujoco.mj_forward(model, data)
            for camera in cameras:
                renderers[size].update_scene(data, camera, looks)
                output.write(renderers[size].render().tobytes())
        output.flush()
    for renderer in renderers.values():
        renderer.close()


def _onlooker() -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.lookat[:] = _LOOK_AT
    camera.azimuth, camera.elevation, camera.distance = _AZIMUTH, _ELEVATION, _DISTANCE
    return camera


if __name__ == "__main__":
    main(sys.argv[1])
