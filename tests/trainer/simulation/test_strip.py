from ctypes.util import find_library

import numpy as np
import pytest

from trainer.simulation.collect import attempt
from trainer.simulation.scene import load_scene
from trainer.simulation.strip import render_strip
from trainer.simulation.task import find_task


@pytest.mark.parametrize("backends", [(), ("no_such_backend",), ("egl", "osmesa")])
def test_there_are_pictures_whatever_the_machine_can_draw(backends: tuple[str, ...]) -> None:
    task = find_task("lift")
    states = attempt(task, 0).states
    positions = states[:, 1 : 1 + load_scene(task).model.nq]
    strip = render_strip(task, positions, frames=3, backends=backends)
    assert [image.shape for image in strip] == [(240, 320, 3)] * 3
    assert all(image.dtype == np.uint8 for image in strip)
    assert all(image.std() > 5 for image in strip)
    assert (strip[0] != strip[-1]).any()
    drawn = render_strip(task, positions, frames=3, backends=())
    rendered = any((image != other).any() for image, other in zip(strip, drawn, strict=True))
    assert rendered or not any(_loads(backend) for backend in backends)
    assert not rendered or backends == ("egl", "osmesa")


def _loads(backend: str) -> bool:
    """Whether this machine has the library of this kind of OpenGL."""
    libraries = {"egl": "EGL", "osmesa": "OSMesa"}
    return backend in libraries and find_library(libraries[backend]) is not None
