import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.rotation import geodesic_angle
from trainer.poses import Pose
from trainer.simulation.motion import PEAK_SPEED, PEAK_TURN, Stroke, follow, minimum_jerk
from trainer.simulation.script import facing_down

coordinate = st.floats(-0.5, 0.5)
poses = st.builds(
    lambda x, y, z, yaw, lean: (np.array([x, y, z]), facing_down(yaw, lean)),
    coordinate,
    coordinate,
    coordinate,
    st.floats(-1.5, 1.5),
    st.floats(0.0, 0.5),
)


def test_minimum_jerk_starts_and_ends_at_rest() -> None:
    s = np.linspace(0, 1, 1001)
    share = minimum_jerk(s)
    velocity = np.gradient(share, s)
    assert (share[0], share[-1]) == (0.0, 1.0)
    assert abs(velocity.max() - 1.875) < 1e-4
    assert max(velocity[0], velocity[-1]) < 1e-3


@given(poses, poses)
def test_a_stroke_ends_at_its_target_within_the_peak_speeds(start: Pose, target: Pose) -> None:
    commanded = [start, *follow(start, [Stroke(target)])]
    position, rotation = (np.stack(part) for part in zip(*commanded, strict=True))
    np.testing.assert_allclose(position[-1], target[0], atol=1e-12)
    assert geodesic_angle(rotation[-1], target[1]) < 1e-9
    assert (np.linalg.norm(np.diff(position, axis=0), axis=1) * 20).max() < PEAK_SPEED * 1.001
    assert (geodesic_angle(rotation[1:], rotation[:-1]) * 20).max() < PEAK_TURN * 1.001


@given(poses, poses, poses, st.floats(0.0, 0.9))
def test_overlapping_strokes_round_the_corner_and_arrive(a: Pose, b: Pose, c: Pose, overlap: float) -> None:
    commanded = list(follow(a, [Stroke(b), Stroke(c, overlap)]))
    separate = list(follow(a, [Stroke(b), Stroke(c)]))
    np.testing.assert_allclose(commanded[-1][0], c[0], atol=1e-12)
    assert geodesic_angle(commanded[-1][1], c[1]) < 1e-9
    assert len(commanded) <= len(separate)


@given(st.floats(-1.5, 1.5), st.floats(0.0, 0.6))
def test_facing_down_is_a_rotation_whose_closing_axis_stays_level(yaw: float, lean: float) -> None:
    rotation = facing_down(yaw, lean)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert abs(np.linalg.det(rotation) - 1) < 1e-12
    assert rotation[2, 1] == 0.0
    np.testing.assert_allclose(rotation[2, 2], -np.cos(lean), atol=1e-12)
