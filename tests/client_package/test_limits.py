"""Where limits come from, and how fast a joint may be near them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart_client import ArmLimits
from headstart_client.stopping import JointStop
from services.catalogue import ARMS
from services.synthesis.arm.robot_model import robot_model


def test_a_dataset_says_what_its_robot_may_do(tmp_path: Path) -> None:
    spec = robot_model(ARMS["so101"]).spec
    (tmp_path / "dataset.json").write_text(json.dumps({"robot": spec.to_json()}))
    limits = ArmLimits.from_dataset(tmp_path)
    assert limits.dof == spec.dof
    for name in ("lower", "upper", "velocity", "acceleration", "jerk"):
        assert np.array_equal(getattr(limits, name), getattr(spec.limits, name))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"lower": [1.0]}, "every lower limit must be below"),
        ({"upper": [1.0, 1.0]}, r"limit 'upper' has shape \(2,\)"),
        ({"jerk": [0.0]}, "limit 'jerk' must be positive"),
        ({"velocity": [float("inf")]}, "limit 'velocity' is not finite"),
        ({"velocity": None}, "limit 'velocity' has shape"),
    ],
)
def test_what_is_no_limit_is_said(change: dict[str, Any], problem: str) -> None:
    good = {"lower": [-1.0], "upper": [1.0], "velocity": [2.0], "acceleration": [10.0], "jerk": [200.0]}
    with pytest.raises(ValueError, match=problem):
        ArmLimits.from_robot({"limits": good | change})
    with pytest.raises(ValueError, match="an arm has at least one joint"):
        ArmLimits.from_robot({"limits": {name: [] for name in good}})


def test_a_robot_without_limits_is_said(tmp_path: Path) -> None:
    headers: list[Any] = [{}, {"robot": {}}, {"robot": {"limits": {}}}, {"robot": {"limits": None}}, []]
    for header in headers:
        (tmp_path / "dataset.json").write_text(json.dumps(header))
        with pytest.raises(ValueError, match="has no limits as dataset"):
            ArmLimits.from_dataset(tmp_path)


def test_near_a_limit_a_joint_is_as_fast_as_it_can_be_and_still_stop() -> None:
    limits = ArmLimits(*(np.array([value]) for value in (-1.0, 1.0, 2.0, 10.0, 200.0)))
    for room in (0.0, 1e-6, 1e-3, 0.0125, 0.0126, 0.1, 0.24, 0.2499):
        (fastest,) = limits.velocity_towards(np.array([room]))
        assert JointStop.shortest((0.0, fastest, 0.0), 10.0, 200.0).extremes()[1] == pytest.approx(room, abs=1e-12)
    # From 2 rad/s it takes 2 / 2 * (2 / 10 + 10 / 200) = 0.25 rad.
    assert limits.velocity_towards(np.array([0.3])) == [2.0]
