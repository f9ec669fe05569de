import numpy as np

from shared.rotation import matrix_to_rot6d, rot6d_to_matrix, rotvec_to_matrix
from trainer.deployment.serving.ensemble import _MOST_SESSIONS, TemporalEnsemble

LENGTH = 6
RNG = np.random.default_rng(0)


def chunk() -> np.ndarray:
    rotation = matrix_to_rot6d(rotvec_to_matrix(0.2 * RNG.normal(size=(LENGTH, 3))))
    values = np.concatenate([RNG.normal(size=(LENGTH, 3)), rotation, RNG.uniform(-1, 1, (LENGTH, 1))], axis=1)
    return values.astype(np.float32)


def expected(calls: list[tuple[int, np.ndarray]], step: int) -> np.ndarray:
    """The weighted mean, control step by control step."""
    rows = []
    for at in range(step, step + LENGTH):
        covering = [values[at - made] for made, values in calls if made <= at < made + LENGTH]
        weights = np.exp(-0.5 * np.arange(len(covering)))
        row = (weights[:, None] * np.stack(covering)).sum(0) / weights.sum()
        row[3:9] = matrix_to_rot6d(rot6d_to_matrix(row[3:9]))
        rows.append(row)
    return np.stack(rows)


def test_chunks_that_cover_a_step_are_averaged_the_oldest_weighing_most() -> None:
    ensemble = TemporalEnsemble(0.5, "ee_pose")
    calls: list[tuple[int, np.ndarray]] = []
    for step in (0, 1, 2, 4, 5, 9, 30):
        calls.append((step, chunk()))
        assert np.abs(ensemble("a", step, calls[-1][1]) - expected(calls, step)).max() < 1e-6
        ensemble("b", step, chunk())


def test_an_earlier_step_begins_an_episode_and_the_same_one_replaces() -> None:
    ensemble = TemporalEnsemble(0.5, "ee_pose")
    first, second, third = chunk(), chunk(), chunk()
    ensemble("a", 3, chunk())
    ensemble("a", 2, first)
    ensemble("a", 4, second)
    assert np.abs(ensemble("a", 4, third) - expected([(2, first), (4, third)], 4)).max() < 1e-6
    assert np.abs(ensemble("a", 0, second) - second).max() < 1e-6


def test_joints_are_averaged_as_they_are_and_sessions_are_bounded() -> None:
    ensemble = TemporalEnsemble(0.0, "joint_position")
    joints = RNG.normal(size=(2, LENGTH, 8)).astype(np.float32)
    ensemble("first", 0, joints[0])
    assert np.abs(ensemble("first", 1, joints[1])[:5] - (joints[0, 1:] + joints[1, :5]) / 2).max() < 1e-6
    for index in range(_MOST_SESSIONS):
        ensemble(str(index), 0, joints[0])
    assert np.array_equal(ensemble("first", 2, joints[1]), joints[1])
