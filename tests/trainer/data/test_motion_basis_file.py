import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ConfigError
from tests.trainer.data.windows_of_motion import (
    ACTIONS,
    NORMALIZERS,
    SEEDS,
    noisy_windows,
    smooth_windows,
)
from trainer.config import ActionName
from trainer.data.motion_basis import MotionBasis, read_basis, write_basis


@settings(max_examples=20)
@given(SEEDS, st.sampled_from(ACTIONS))
def test_json_text_makes_an_equal_basis_to_the_last_bit(seed: int, action: ActionName) -> None:
    basis = MotionBasis.learn(smooth_windows(5, seed, action), NORMALIZERS[action])
    again = MotionBasis.from_json(json.loads(json.dumps(basis.to_json())))
    assert np.array_equal(again.directions, basis.directions)
    assert np.array_equal(again.spread, basis.spread)
    assert (again.action, again.kept, again.windows) == (action, basis.kept, 5)
    assert again.sha256() == basis.sha256()


def test_the_hash_names_directions_and_how_many_are_kept() -> None:
    bases = [MotionBasis.learn(noisy_windows(5, seed), NORMALIZERS["ee_pose"], 3) for seed in (0, 0, 1)]
    bases += [bases[0].keeping(4), replace(bases[0], action="joint_position")]
    assert bases[0].sha256() == bases[1].sha256()
    assert len({basis.sha256() for basis in bases}) == 4


GOOD = {"action": "ee_pose", "directions": np.eye(3).tolist(), "spread": [1, 1, 1], "kept": 2, "windows": 5}
ROTATED = [[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]


def test_any_orthonormal_directions_are_read() -> None:
    assert MotionBasis.from_json(GOOD | {"directions": ROTATED}).directions.tolist() == ROTATED


@pytest.mark.parametrize(
    "change",
    [
        {"directions": np.eye(4).tolist()},
        {"directions": np.eye(3)[:2].tolist()},
        {"directions": [1, 0, 0]},
        {"directions": []},
        {"directions": [[1, 0, 0], [0, 1], [0, 0, 1]]},
        {"directions": None},
        {"directions": "eye"},
        {"spread": [1, 1]},
        {"spread": []},
        {"spread": 1},
        {"spread": None},
        {"spread": ["a", 1, 1]},
        {"kept": 0},
        {"kept": 4},
        {"kept": None},
        {"kept": [2]},
        {"windows": None},
        {"windows": "many"},
    ],
)
def test_wrong_shapes_and_counts_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        MotionBasis.from_json(GOOD | change)


@pytest.mark.parametrize("name", GOOD)
def test_a_basis_that_lacks_something_is_refused(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        MotionBasis.from_json({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    "directions",
    [
        np.zeros((3, 3)).tolist(),
        (1.001 * np.eye(3)).tolist(),
        (np.eye(3) + 1e-8 * np.eye(3, k=1)).tolist(),
        [[1, 0, 0], [0, 1, 0], [0, 1, 0]],
    ],
)
def test_directions_that_are_not_orthonormal_are_refused(directions: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="the directions of a motion basis are orthonormal, these are not"):
        MotionBasis.from_json(GOOD | {"directions": directions})


def test_a_file_of_a_basis_is_read_as_it_was_written(tmp_path: Path) -> None:
    basis = MotionBasis.learn(smooth_windows(5, 0, "ee_pose"), NORMALIZERS["ee_pose"])
    path = tmp_path / "new folder" / "basis.json"
    write_basis(path, basis)
    assert read_basis(path).to_json() == basis.to_json()
    assert [entry.name for entry in path.parent.iterdir()] == ["basis.json"]
    write_basis(path, basis.keeping(2))
    assert read_basis(path).kept == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b'{"action": "ee_pose",',
        b"\xff\xfe\x00",
        b"{}",
        b'{"position": {"min": [0, 0, 0], "max": [1, 1, 1]}}',
        b"[]",
        b"null",
        b"3",
        b'"text"',
        json.dumps(GOOD | {"kept": 9}).encode(),
        json.dumps(GOOD | {"directions": np.zeros((3, 3)).tolist()}).encode(),
    ],
)
def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^{path} is no motion basis \(.+\); give what `python -m trainer basis`"):
        read_basis(path)


def test_a_file_that_is_missing_or_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(ConfigError, match=rf"^{path} is no motion basis"):
            read_basis(path)


@pytest.mark.parametrize(
    "change",
    [
        {"directions": [[float("nan")] * 3] * 3},
        {"directions": [[10**400, 0, 0], [0, 1, 0], [0, 0, 1]]},
        {"spread": [[1.0, 1.0]] * 3},
        {"spread": [1.0, float("nan"), 0.0]},
        {"spread": [1.0, -1.0, 0.0]},
        {"action": "x"},
        {"action": None},
        {"kept": 2.7},
        {"kept": "2"},
        {"kept": float("inf")},
        {"windows": -3},
        {"windows": float("inf")},
    ],
)
def test_a_basis_of_other_values_is_refused_by_its_file(change: dict[str, Any], tmp_path: Path) -> None:
    good = {"action": "ee_pose", "directions": np.eye(3).tolist(), "spread": [1.0, 0.5, 0.0], "kept": 2, "windows": 9}
    path = tmp_path / "basis.json"
    path.write_text(json.dumps(good))
    assert read_basis(path).kept == 2
    path.write_text(json.dumps(good | change))
    with pytest.raises(ConfigError, match=r"basis\.json is no motion basis"):
        read_basis(path)
