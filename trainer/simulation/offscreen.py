"""Pictures of states of a simulation, drawn without a window by whichever OpenGL works here."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from shared.errors import SimulationError

BACKENDS = ("egl", "osmesa")
"""The kinds of OpenGL to try, in order."""
_TIMEOUT_S = 600.0


def draw_states(
    model: mujoco.MjModel,
    positions: NDArray[np.floating[Any]],
    cameras: Sequence[str | None],
    size: tuple[int, int],
    backends: Sequence[str] = BACKENDS,
) -> NDArray[np.uint8]:
    """Pictures (n, cameras, height, width, 3) uint8 of n states.

    Args:
        model: of the scene.
        positions: generalized positions (n, nq).
        cameras: names of the model's; None is an onlooker, from ahead of the robot and to its right.
        size: height and width.
        backends: the kinds of OpenGL to try, in order.

    Raises:
        SimulationError: the model has no such camera, or no OpenGL works here.
    """
    known = [model.camera(index).name for index in range(model.ncam)]
    for camera in cameras:
        if camera is not None and camera not in known:
            raise SimulationError(f"there is no camera '{camera}'; there are: {', '.join(known)}")
    said = "none was tried"
    with tempfile.TemporaryDirectory(prefix="headstart-pictures-") as folder:
        directory = Path(folder)
        mujoco.mj_saveModel(model, str(directory / "model.mjb"))
        np.save(directory / "positions.npy", positions)
        (directory / "views.json").write_text(json.dumps({"cameras": list(cameras), "size": list(size)}))
        program = [sys.executable, "-P", str(Path(__file__).with_name("render.py")), folder]
        for backend in backends:
            environment = os.environ | {"MUJOCO_GL": backend}
            try:
                subprocess.run(program, env=environment, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
                pictures: NDArray[np.uint8] = np.load(directory / "pictures.npy")
                return pictures
            except subprocess.CalledProcessError as error:
                said = (error.stderr.strip().splitlines() or [f"ended with {error.returncode}"])[-1]
            except (subprocess.TimeoutExpired, OSError) as error:
                said = str(error)
    raise SimulationError(
        f"no pictures can be drawn here: OpenGL without a window needs EGL or OSMesa (Debian: libegl1 with "
        f"libgl1-mesa-dri, or libosmesa6), and none works ({said})"
    )
