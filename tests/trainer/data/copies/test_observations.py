"""Observations of copies: what is recorded where everything is as it was, and what an arm would see elsewhere."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.synthesis.pipeline import plan_shards, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.demonstrated_motions import DemonstratedMotions
from shared.errors import ConfigError
from shared.records import columns_of, list_column
from shared.rotation import matrix_to_quat_xyzw, matrix_to_rot6d, rot6d_to_matrix
from tests.stacking import LAG, demonstrations, motions
from trainer.data.copies.observations import CopiedObservations
from trainer.data.copies.scene import SceneOfCopies
from trainer.data.copies.terms import find_terms
from trainer.data.demonstrations.episode import Episode

COUNT = 5
MOTIONS, DEMONSTRATIONS = motions(COUNT), demonstrations(COUNT)


def table(of: DemonstratedMotions, count: int) -> Any:
    body = {"robot": "panda", "count": count, "workspace": {"kind": "objects", "motions": of.content_sha256}}
    request = TrajectoryRequest.parse(body, motions={of.content_sha256: of}.get)
    return synthesize(plan_shards(request)[0]).table


def test_the_lag_of_the_demonstrations_is_found() -> None:
    lag = SceneOfCopies(MOTIONS).lag
    assert lag.delay == LAG.delay
    assert (lag.frequency, lag.damping) == pytest.approx((LAG.frequency, LAG.damping), rel=0.05)


@pytest.mark.parametrize("place", range(COUNT))
def test_with_everything_where_it_was_they_are_what_was_recorded(place: int) -> None:
    one = replace(MOTIONS, motions=MOTIONS.motions[place : place + 1])
    rows = table(one, 1)
    found = CopiedObservations(one, DEMONSTRATIONS).of_rows(rows)
    episode = DEMONSTRATIONS.episodes[place]
    recorded = np.concatenate([episode.observations[key] for key in DEMONSTRATIONS.observation_widths], axis=1)
    time = list_column(rows, "source_time")[0].astype(np.float64)
    assert found.shape == (len(time), recorded.shape[1])
    expected = np.stack([np.interp(time, range(len(recorded)), column) for column in recorded.T], axis=1)
    off = np.abs(found - expected)
    # The tool and what it holds, where the copy had to be slower, are nearer to their commands.
    assert np.median(off, axis=0).max() < 2e-3
    assert off.max() < 0.05


def test_elsewhere_they_are_what_the_arm_would_see() -> None:
    rows = table(MOTIONS, 12)
    found = CopiedObservations(MOTIONS, DEMONSTRATIONS).of_rows(rows)
    _, first = list_column(rows, "source_time")
    commanded = list_column(rows, "ee_position")[0].reshape(-1, 3).astype(np.float64)
    widths = DEMONSTRATIONS.observation_widths
    ends = np.cumsum(list(widths.values()))
    parts = dict(zip(widths, np.split(found, ends[:-1], axis=1), strict=True))
    for row in range(12):
        own = slice(first[row], first[row + 1])
        # This made-up arm has no errors but its lag.
        np.testing.assert_allclose(parts["tool"][own, :3], LAG.follow(commanded[own]), atol=1.5e-3)
        time = list_column(rows, "source_time")[0][own]
        motion = MOTIONS.motions[rows["source"][row].as_py()]
        tool, block = parts["tool"][own], parts["block"][own]
        np.testing.assert_allclose(parts["tool_to_block"][own], block[:, :3] - tool[:, :3], atol=2e-4)
        base = list_column(rows, "object/base/position")[0].reshape(-1, 3)[own]
        np.testing.assert_allclose(parts["base_in_world"][own], base + np.array([1.0, 2.0, 3.0]), atol=2e-4)
        np.testing.assert_allclose(parts["apart"][own, 0], np.linalg.norm(block[:, :3] - base, axis=1), atol=2e-4)
        held = (time >= motion.held[0].first + 6) & (time < motion.held[0].end - 1)
        hand = rot6d_to_matrix(tool[:, 3:].astype(np.float64))
        in_hand = np.einsum("tji,tj->ti", hand, (block[:, :3] - tool[:, :3]).astype(np.float64))
        assert np.abs(in_hand[held] - in_hand[held][0]).max() < 1e-3
        fingers = DEMONSTRATIONS.episodes[rows["source"][row].as_py()].observations["fingers"][:, 0]
        np.testing.assert_allclose(parts["fingers"][own, 0], np.interp(time, range(len(fingers)), fingers), atol=1e-6)


def with_columns(episode: Episode) -> Episode:
    """Further columns, as other data sets have them: quaternions, matrices, what the tool sees, all in one."""
    assert episode.tool is not None
    tool, block = episode.tool.astype(np.float64), episode.objects["block"].astype(np.float64)
    hand, turned = rot6d_to_matrix(tool[:, 3:]), rot6d_to_matrix(block[:, 3:])
    seen = np.einsum("tji,tj->ti", hand, block[:, :3] - tool[:, :3])
    added = {
        "quat": matrix_to_quat_xyzw(hand),
        "wxyz": np.roll(matrix_to_quat_xyzw(turned), 1, axis=1),
        "matrix": turned.reshape(-1, 9),
        "seen": seen,
        "all": np.concatenate([block[:, :3], matrix_to_rot6d(turned), tool[:, :3], seen], axis=1),
    }
    observations = {**episode.observations, **{key: values.astype(np.float32) for key, values in added.items()}}
    return replace(episode, observations=observations)


def test_every_usual_encoding_is_found() -> None:
    given = demonstrations(COUNT, with_columns)
    observations = CopiedObservations(MOTIONS, given)
    described = dict(line.split(": ", 1) for line in observations.describe())
    assert described["base_in_world"] == "position of base"
    assert described["tool_to_block"] == "position of tool and position of block"
    assert described["apart"] == "distance of block and base"
    assert described["fingers"] == "gripper"
    assert described["quat"] == "quaternion of tool"
    assert described["wxyz"] == "quaternion of block"
    assert described["matrix"] == "rotation of block"
    assert described["seen"] == "position of block in the tool's frame"
    assert described["all"].startswith("position of block, rotation of block, position of tool")
    rows = table(MOTIONS, 4)
    found = observations.of_rows(rows)
    assert found.shape[1] == sum(given.observation_widths.values())
    assert np.isfinite(found).all()


def test_what_kinematics_can_not_tell_is_named() -> None:
    def with_force(episode: Episode) -> Episode:
        noise = np.random.default_rng(episode.seed).normal(size=(len(episode.actions), 2))
        return replace(episode, observations={**episode.observations, "force": noise.astype(np.float32)})

    with pytest.raises(ConfigError, match=r"can't tell what would be observed in copies of force; leave these out"):
        CopiedObservations(MOTIONS, demonstrations(COUNT, with_force))
    scene = SceneOfCopies(MOTIONS).demonstrated(0)
    steps = len(scene.position)
    values: NDArray[np.float64] = np.random.default_rng(0).normal(size=(steps, 1))
    terms, unknown = find_terms({"x": [values]}, [scene], [np.ones(steps)], ["tool", "block", "base"])
    assert (terms, unknown) == ([], ["x"])


def test_copies_of_other_demonstrations_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"of demonstrations that are not among these, such as data/demo_4"):
        CopiedObservations(MOTIONS, demonstrations(4))
    shorter = [replace(e, actions=e.actions[:-1]) for e in DEMONSTRATIONS.episodes]
    with pytest.raises(ConfigError, match=r"has \d+ steps, in the motions file \d+"):
        CopiedObservations(MOTIONS, replace(DEMONSTRATIONS, episodes=tuple(shorter)))


def test_the_columns_that_it_needs_are_of_the_record() -> None:
    rows = table(MOTIONS, 3)
    observations = CopiedObservations(MOTIONS, DEMONSTRATIONS)
    assert set(observations.columns) <= {column.name for column in columns_of(rows.schema)}
    np.testing.assert_array_equal(observations.of_rows(rows.select(observations.columns)), observations.of_rows(rows))
