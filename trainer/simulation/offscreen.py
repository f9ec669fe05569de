"""Pictures of states of a simulation, drawn without a window by whichever OpenGL works here."""

import json
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from ctypes.util import find_library
from pathlib import Path
from threading import Timer
from typing import IO, Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from shared.errors import SimulationError

BACKENDS = ("egl", "osmesa")
"""The kinds of OpenGL to try, in order."""
_LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}
_TIMEOUT_S = 600.0
_NONE_WORKS = (
    "no pictures can be drawn here: OpenGL without a window needs EGL or OSMesa (Debian: libegl1 with "
    "libgl1-mesa-dri, or libosmesa6), and none works"
)


def likely_backend() -> str | None:
    """The first kind of OpenGL without a window whose library is here, as MUJOCO_GL names it; None without any."""
    return next((name for name in BACKENDS if find_library(_LIBRARIES[name])), None)


class OffscreenRenderer:
    """Draws states of a model in a process of its own, which lives until this is closed or forgotten."""

    def __init__(self, model: mujoco.MjModel, backends: Sequence[str] = BACKENDS) -> None:
        """Nothing is started before it is needed; `backends` are the kinds of OpenGL to try, in order."""
        self._model, self._backends = model, list(backends)
        self._cameras = [model.camera(index).name for index in range(model.ncam)]
        self._process: _Process | None = None

    def draw(
        self, positions: NDArray[np.floating[Any]], cameras: Sequence[str | None], size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """Pictures (n, cameras, height, width, 3) of n states of the model as it is now.

        Args:
            positions: generalized positions (n, nq).
            cameras: names of the model's; None is an onlooker, from ahead of the robot and to its right.
            size: height and width.

        Raises:
            SimulationError: the model has no such camera, or no OpenGL works here.
        """
        for camera in cameras:
            if camera is not None and camera not in self._cameras:
                raise SimulationError(f"there is no camera '{camera}'; there are: {', '.join(self._cameras)}")
        said = "none was tried"
        while self._process is not None or self._backends:
            process = self._process or _Process(self._model, self._backends.pop(0))
            try:
                pictures = process.draw(positions, cameras, size)
            except OSError:
                said, self._process = process.close(), None
            else:
                self._process = process
                return pictures
        raise SimulationError(f"{_NONE_WORKS} ({said})")

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.close()
            self._process = None


def draw_states(
    model: mujoco.MjModel,
    positions: NDArray[np.floating[Any]],
    cameras: Sequence[str | None],
    size: tuple[int, int],
    backends: Sequence[str] = BACKENDS,
) -> NDArray[np.uint8]:
    """What an `OffscreenRenderer` of the model draws, which is started for it."""
    renderer = OffscreenRenderer(model, backends)
    try:
        return renderer.draw(positions, cameras, size)
    finally:
        renderer.close()


class _Process:
    """render.py with one kind of OpenGL."""

    def __init__(self, model: mujoco.MjModel, backend: str) -> None:
        self._model = model
        with tempfile.TemporaryDirectory(prefix="headstart-pictures-") as folder:
            path = Path(folder) / "model.mjb"
            mujoco.mj_saveModel(model, str(path))
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("render.py")), str(path)],
                env=os.environ | {"MUJOCO_GL": backend},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
            self._end = weakref.finalize(self, _ended, self._process, self._stderr)
            # Until it says that it has read the model, whose file goes with this block.
            self._started = self._read(1) == b"\n"

    def draw(
        self, positions: NDArray[np.floating[Any]], cameras: Sequence[str | None], size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """As `OffscreenRenderer.draw`. Raises OSError where the process ended or took too long."""
        assert self._process.stdin is not None
        if not self._started:
            raise BrokenPipeError
        rows = np.ascontiguousarray(positions, np.float64)
        bodies = np.concatenate([self._model.body_pos, self._model.body_quat], axis=1)
        asked = {"cameras": list(cameras), "size": list(size), "count": len(rows)}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n" + bodies.tobytes() + rows.tobytes())
        self._process.stdin.flush()
        shape = (len(rows), len(cameras), *size, 3)
        content = self._read(int(np.prod(shape)))
        if len(content) != np.prod(shape):
            raise BrokenPipeError
        return np.frombuffer(content, np.uint8).reshape(shape)

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None
        late = Timer(_TIMEOUT_S, self._process.kill)
        late.daemon = True
        late.start()
        try:
            return self._process.stdout.read(count)
        finally:
            late.cancel()

    def close(self) -> str:
        """Ends it; the last line that it complained with."""
        said: str | None = self._end()
        return said or f"ended with {self._process.returncode}"


def _ended(process: subprocess.Popen[bytes], stderr: IO[bytes]) -> str:
    """Ends a process by closing its input; the last line that it complained with."""
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        try:
            pipe.close()
        except OSError:
            continue  # What it was sent last can't be flushed: it is gone.
    process.wait()
    with stderr:
        stderr.seek(0)
        lines = stderr.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
