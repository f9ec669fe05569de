"""Demonstrations with pictures of cameras: what was there is unchanged, and the pictures show it."""

from ctypes.util import find_library
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.errors import ConfigError, SimulationError
from trainer.commands import render
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.mapping.mapping_file import read_mapping
from trainer.data.motions.segment_proposal import propose
from trainer.simulation.collect import collect
from trainer.simulation.offscreen import draw_states
from trainer.simulation.scene import load_scene
from trainer.simulation.task import find_task
from trainer.simulation.with_cameras import write_with_cameras

CAMERAS = ("agentview", "robot0_eye_in_hand")
drawable = pytest.mark.skipif(
    find_library("EGL") is None and find_library("OSMesa") is None, reason="no OpenGL without a window here"
)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collect("lift", tmp_path_factory.mktemp("lift") / "lift.hdf5", successes=2)


@drawable
def test_through_its_mapping_it_is_what_it_was_and_pictures(demos: Path, tmp_path: Path) -> None:
    out = tmp_path / "cameras.hdf5"
    render.run(demos, out, size=48, count=1, draw=0)
    given = read_demonstrations(demos, 1, draw=0)
    read = read_demonstrations(out, mapping=read_mapping(out.with_suffix(".toml")))
    assert (read.task, read.robot, read.rate_hz, read.action_label) == ("lift", "panda", 20.0, "command")
    assert read.cameras == {f"obs/{camera}_image": (48, 48) for camera in CAMERAS}
    assert list(read.observation_widths) == ["obs/tcp_position", "obs/tcp_rotation_6d", "obs/finger_position"]
    assert [episode.validation for episode in read.episodes] == [episode.validation for episode in given.episodes]
    for episode, was in zip(read.episodes, given.episodes, strict=True):
        np.testing.assert_allclose(episode.actions, was.actions, atol=1e-6)
        assert episode.tool is not None
        assert was.tool is not None
        np.testing.assert_allclose(episode.tool, was.tool, atol=1e-6)
        np.testing.assert_allclose(episode.objects["cube"], was.objects["cube"], atol=1e-6)
        for camera in read.cameras:
            pictures = episode.images[camera].at(np.arange(len(was.actions)))
            assert pictures.shape == (len(was.actions), 48, 48, 3)
            # The red cube is seen at the begin, and the hand moves.
            red = pictures[0].astype(int)
            assert ((red[..., 0] - red[..., 1:].max(-1)) > 60).sum() >= 4
            assert np.abs(pictures[0].astype(int) - pictures[-1]).max() > 60
    # The objects that no policy sees are what copies are made of.
    named = replace(given, episodes=tuple(replace(one, images={}) for one in read.episodes))
    assert [segment.relative_to for segment in propose(named, "file")[1][0].segments] == [-1, 0]


def test_where_nothing_can_be_drawn_it_says_what_to_install() -> None:
    model = load_scene(find_task("lift")).model
    with pytest.raises(SimulationError, match=r"needs EGL or OSMesa .* and none works .none was tried."):
        draw_states(model, np.zeros((1, model.nq)), ["agentview"], (8, 8), backends=())
    with pytest.raises(SimulationError, match=r"none works .*no_such"):
        draw_states(model, np.zeros((1, model.nq)), ["agentview"], (8, 8), backends=("no_such",))


def test_what_can_not_be_written_is_said_and_nothing_is(demos: Path, tmp_path: Path) -> None:
    out = tmp_path / "cameras.hdf5"
    with pytest.raises(SimulationError, match="no camera 'above'; there are: frontview, birdview, agentview"):
        write_with_cameras(demos, out, ["above"], (48, 48))
    for cameras, size in ([], 48), (["agentview"], 0):
        with pytest.raises(ConfigError, match="a camera and a size of at least 1 pixel"):
            write_with_cameras(demos, out, cameras, (size, size))
    assert list(tmp_path.iterdir()) == []
    out.touch()
    with pytest.raises(ConfigError, match="is there already"):
        render.run(demos, out)
