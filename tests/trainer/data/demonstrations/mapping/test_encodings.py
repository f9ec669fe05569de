"""Every encoding against SciPy's Rotation."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation as Reference

from trainer.data.demonstrations.mapping.encodings import gripper_commands, joint_positions, matrices, positions
from trainer.data.demonstrations.mapping.mapping import Gripper, Joints, Position, Rotation

AXES = [
    "".join(axes)
    for letters in ("xyz", "XYZ")
    for axes in product(letters, repeat=3)
    if axes[0] != axes[1] and axes[1] != axes[2]
]


def encoded(reference: Any, rotation: Rotation) -> NDArray[np.float64]:
    matrix = reference.as_matrix()
    numbers = {
        "quat_xyzw": reference.as_quat(),
        "quat_wxyz": reference.as_quat(scalar_first=True),
        "rotation_vector": reference.as_rotvec(degrees=rotation.unit == "deg"),
        "euler": reference.as_euler(rotation.axes or "xyz", degrees=rotation.unit == "deg"),
        "rot6d": matrix[:, :2].reshape(-1, 6),
        "rot6d_columns": np.concatenate([matrix[:, :, 0], matrix[:, :, 1]], axis=1),
        "matrix": matrix.reshape(-1, 9),
    }
    return np.asarray(numbers[rotation.encoding], np.float64)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
@pytest.mark.parametrize(
    "encoding",
    [
        *({"encoding": name} for name in ("quat_xyzw", "quat_wxyz", "rot6d", "rot6d_columns", "matrix")),
        *({"encoding": "rotation_vector", "unit": unit} for unit in ("rad", "deg")),
        *({"encoding": "euler", "axes": axes, "unit": unit} for axes in AXES for unit in ("rad", "deg")),
    ],
    ids=lambda encoding: "-".join(encoding.values()),
)
def test_a_rotation_comes_back(encoding: dict[str, Any], seed: int) -> None:
    rotation = Rotation(columns="r", **encoding)
    reference = Reference.random(3, random_state=np.random.default_rng(seed))
    found = matrices(encoded(reference, rotation), rotation)
    assert np.abs(found - reference.as_matrix()).max() < 1e-9


def test_what_is_no_rotation_is_said() -> None:
    numbers = np.tile([1.0, 0, 0, 0], (5, 1))
    numbers[3] = 0.5, 0, 0, 0
    with pytest.raises(ValueError, match=r"'r' is not a unit quaternion at step 3: a norm is 0\.5 there"):
        matrices(numbers, Rotation(columns="r", encoding="quat_wxyz"))
    with pytest.raises(ValueError, match="'r' has 3 components, encoding 'quat_wxyz' has 4"):
        matrices(numbers[:, :3], Rotation(columns="r", encoding="quat_wxyz"))
    skewed = np.tile([1.0, 0, 0, 0.5, 0.866, 0], (2, 1))
    with pytest.raises(ValueError, match="'r' is not a rotation at step 0"):
        matrices(skewed, Rotation(columns="r", encoding="rot6d"))
    mirrored = np.tile(np.diag([1.0, 1.0, -1.0]).reshape(9), (2, 1))
    with pytest.raises(ValueError, match="'r' is not a rotation at step 0"):
        matrices(mirrored, Rotation(columns="r", encoding="matrix"))


def test_scales_and_deltas() -> None:
    assert positions(np.array([[1.0, 2, 3]]), Position(columns="p", scale=0.001)).tolist() == [[0.001, 0.002, 0.003]]
    with pytest.raises(ValueError, match="'p' has 2 components, a position has 3"):
        positions(np.zeros((1, 2)), Position(columns="p"))
    turn = Rotation(columns="r", encoding="rotation_vector", scale=0.5)
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert np.allclose(matrices(np.array([[0, 0, np.pi]]), turn)[0], quarter)


def test_joints() -> None:
    degrees = np.array([[90.0, -180.0]])
    joints = Joints(columns="j", unit="deg", sign=(1, -1), offset=(0.0, 1.0))
    assert np.allclose(joint_positions(degrees, joints), [[np.pi / 2, np.pi + 1]])
    # A change of joints has no offset.
    assert np.allclose(joint_positions(degrees, joints, delta=True), [[np.pi / 2, np.pi]])
    normalized = Joints(columns="j", unit="normalized", low=(-1.0, 0.0), high=(3.0, 2.0))
    numbers = np.array([[-100.0, -100], [100, 100], [0, 50]])
    assert np.allclose(joint_positions(numbers, normalized), np.array([[-1, 0], [3, 2], [1, 1.5]]))
    assert np.allclose(joint_positions(np.array([[50.0, -50]]), normalized, delta=True), [[1, -0.5]])
    with pytest.raises(ValueError, match="'j' has 3 components, low has 2; it needs one for each joint"):
        joint_positions(np.zeros((1, 3)), normalized)


def test_grippers() -> None:
    opening = Gripper(columns="g", open=0.08, closed=0.0)
    assert np.allclose(gripper_commands(np.array([[0.08], [0.0], [0.04], [0.0805]]), opening), [-1, 1, 0, -1])
    with pytest.raises(ValueError, match=r"'g' is 0.2 at step 1; the mapping says that it is 0.08 open and 0 closed"):
        gripper_commands(np.array([[0.0], [0.2]]), opening)
    assert gripper_commands(np.array([[0.2]]), opening, observed=True).tolist() == [-1]
    with pytest.raises(ValueError, match=r"'g' has 2 components, a gripper has one; write 'g\[0\]'"):
        gripper_commands(np.zeros((1, 2)), opening)
