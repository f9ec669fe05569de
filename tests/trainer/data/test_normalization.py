import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigError
from tests.trainer.example import RANGE
from trainer.data.demonstrations.checks.implausible import Implausible
from trainer.data.demonstrations.checks.plausibility import check
from trainer.data.demonstrations.checks.track import Track
from trainer.data.demonstrations.mapping.motion import Motion
from trainer.data.normalization import ActionNormalizer
from trainer.model.observation import ObservationScaling, least_spread


@given(st.integers(0, 2**32 - 1))
def test_round_trip_keeps_metres_to_a_micrometre(seed: int) -> None:
    rng = np.random.default_rng(seed)
    normalizer = ActionNormalizer(RANGE)
    actions = rng.uniform(-1, 1, (4, 16, 10)).astype(np.float32)
    actions[..., 2] += 1
    normalized = normalizer.normalize(actions)
    assert np.abs(normalized).max() <= 1 + 1e-6
    assert np.array_equal(normalized[..., 3:], actions[..., 3:])
    assert np.abs(normalizer.denormalize(normalized) - actions).max() < 1e-6


def test_the_range_maps_onto_minus_one_to_one() -> None:
    normalizer = ActionNormalizer(RANGE)
    edges = np.zeros((2, 10), np.float32)
    edges[:, :3] = [RANGE["position"]["min"], RANGE["position"]["max"]]
    normalized = normalizer.normalize(edges)
    assert normalized[:, :3].tolist() == [[-1.0] * 3, [1.0] * 3]
    normalizer.check(edges, "edges")


def test_json_makes_an_equal_normalizer() -> None:
    action_range = RANGE | {"joint_position": {"min": [-2.0, -1.0], "max": [2.0, 3.0]}}
    again = ActionNormalizer(json.loads(json.dumps(ActionNormalizer(action_range).to_json())))
    joints = np.array([[0.0, 1.0]], np.float32)
    assert again.to_json() == ActionNormalizer(action_range).to_json()
    assert again.normalize_joints(joints).tolist() == [[0.0, 0.0]]


def test_leaving_the_range_names_dimension_and_numbers() -> None:
    actions = np.zeros((5, 10), np.float32)
    actions[:, 2] = 1
    actions[3, 1] = -1.25
    with pytest.raises(
        ConfigError, match=r"the demos leave action_range: y is -1\.2500 to 0\.0000 m, the range -1\.0000"
    ):
        ActionNormalizer(RANGE).check(actions, "the demos")
    actions[3, 1] = np.nan
    with pytest.raises(ConfigError, match="not finite"):
        ActionNormalizer(RANGE).check(actions, "the demos")


@pytest.mark.parametrize(
    ("action_range", "message"),
    [
        ({}, "no 'position'"),
        ({"position": {"min": [0, 0, 0]}}, "needs 'min' and 'max'"),
        ({"position": {"min": [0, 0], "max": [1, 1]}}, "three minima"),
        ({"position": {"min": [0, 0, 0], "max": [1, 0, 1]}}, "minima below its maxima"),
        ({"position": {"min": [0, 0, float("nan")], "max": [1, 1, 1]}}, "finite"),
        ({"position": {"min": [0, 0, 0], "max": [1, 1]}}, "as many minima as maxima"),
        (["position"], r"needs to be an object with 'position', got \['position'\]"),
        ({"position": [[0, 0, 0], [1, 1, 1]]}, r"'position' needs 'min' and 'max', got \[\[0, 0, 0\]"),
        ({"position": ["min", "max"]}, r"'position' needs 'min' and 'max', got \['min', 'max'\]"),
        ({"position": None}, "'position' needs 'min' and 'max', got None"),
        ({"position": {"min": ["a", 0, 0], "max": [1, 1, 1]}}, r"'position' needs lists of numbers, got \['a', 0, 0\]"),
        ({"position": {"min": [[0], 0, 0], "max": [1, 1, 1]}}, "'position' needs lists of numbers"),
        ({"position": {"min": {"x": 0}, "max": [1, 1, 1]}}, "'position' needs lists of numbers"),
        ({"position": {"min": [0, 0, 0], "max": [10**400, 1, 1]}}, "'position' needs lists of numbers"),
        (RANGE | {"joint_position": 3}, "'joint_position' needs 'min' and 'max', got 3"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(action_range: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ActionNormalizer(action_range)


def test_joints_need_their_range() -> None:
    with pytest.raises(ConfigError, match="joint_position"):
        ActionNormalizer(RANGE).normalize_joints(np.zeros((1, 2), np.float32))


def test_observation_scaling() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(3, [0.1, 10, 0], (500, 3)).astype(np.float32)
    low_high = ObservationScaling.from_samples(samples, "min_max")
    scaled = (samples - low_high.center) * low_high.scale
    assert scaled[:, :2].min(0) == pytest.approx([-1, -1], abs=1e-5)
    assert scaled[:, :2].max(0) == pytest.approx([1, 1], abs=1e-5)
    assert (scaled[:, 2] == 0).all()
    standard = ObservationScaling.from_samples(samples, "standard")
    scaled = (samples - standard.center) * standard.scale
    assert scaled.mean(0) == pytest.approx([0, 0, 0], abs=1e-4)
    assert scaled.std(0) == pytest.approx([1, 1, 0], abs=1e-4)
    again = ObservationScaling.from_json(json.loads(json.dumps(standard.to_json())))
    assert np.array_equal(again.scale, standard.scale)


def test_fingers_fill_the_range_and_what_hardly_moves_does_not() -> None:
    widths = {"tcp_position": 3, "finger_position": 2, "obs/robot0_gripper_qpos": 2, "cube_position": 1}
    assert least_spread(widths).tolist() == [0.05] * 3 + [0.005] * 4 + [0.05]
    samples = np.zeros((2, 8))
    samples[1, 3:7] = 0.04, -0.04, 0.04, 0.001
    samples[1, 7] = 0.01
    scaling = ObservationScaling.from_samples(samples, "min_max", least_spread(widths))
    scaled = (samples - scaling.center) * scaling.scale
    assert np.abs(scaled[1, 3:] - [1, -1, 1, 0.1, 0.1]).max() < 1e-6


def test_what_inspect_lets_pass_adapt_does_too() -> None:
    actions = np.zeros((5, 10), np.float32)
    actions[:, 2] = 1
    normalizer = ActionNormalizer(RANGE)
    for beyond, inside in ((0.0005, True), (0.0009, True), (0.0011, False)):
        actions[:, 1] = -1 - beyond
        pose = actions[:, :3].astype(np.float64), np.tile(np.eye(3), (5, 1, 1))
        track = Track("demo", Motion(pose), Motion())
        assert normalizer.contains(actions) == inside
        if inside:
            check([track], 20.0, RANGE)
            normalizer.check(actions, "the demos")
            continue
        with pytest.raises(Implausible, match=r"y is -1\.001"):
            check([track], 20.0, RANGE)
        with pytest.raises(ConfigError, match=r"y is -1\.0011 to -1\.0011 m"):
            normalizer.check(actions, "the demos")
