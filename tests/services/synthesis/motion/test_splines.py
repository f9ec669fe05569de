import numpy as np
from scipy.interpolate import CubicSpline

from services.synthesis.motion.splines import fit_splines


def test_splines_are_scipys_through_all_knots_and_begin_and_end_at_rest() -> None:
    rng, dof = np.random.default_rng(0), 3
    # A whole number of segments, and a last one of a single interval and of three.
    intervals, step = np.array([7, 8, 31]), np.array([0.1, 0.03, 0.2])
    first = np.concatenate([[0], np.cumsum(-(-intervals // 7))])
    first_knot = np.concatenate([[0], np.cumsum(intervals + 1)])
    given = np.cumsum(rng.normal(size=(first_knot[-1], dof)), axis=0)
    knots = given.copy()
    start, velocity, acceleration = (np.empty((first[-1], dof)) for _ in range(3))
    jerk, middle, peaks = np.empty((first[-1], dof, 7)), np.empty((intervals.sum(), dof)), np.empty((3, dof, 3))
    time = np.empty_like(jerk)
    fit_splines(first, first_knot, step, knots, start, velocity, acceleration, time, jerk, middle, peaks)
    for i in range(3):
        here = slice(first_knot[i], first_knot[i + 1])
        t = step[i] * np.arange(intervals[i] + 1)
        # Through these knots, with zero velocity at both ends, there is one cubic spline.
        reference = CubicSpline(t, knots[here], bc_type="clamped")
        scale = np.abs(knots[here]).max()
        kept = np.ones(len(t), np.bool_)
        kept[[1, -2]] = False
        assert np.array_equal(knots[here][kept], given[here][kept])
        np.testing.assert_allclose(reference(t[[0, -1]], 2), 0, atol=1e-9 * scale / step[i] ** 2)
        border, own = t[:-1:7], slice(first[i], first[i + 1])
        np.testing.assert_allclose(start[own], reference(border), atol=1e-12 * scale)
        np.testing.assert_allclose(velocity[own], reference(border, 1), atol=1e-11 * scale / step[i])
        np.testing.assert_allclose(acceleration[own], reference(border, 2), atol=1e-10 * scale / step[i] ** 2)
        pieces = np.moveaxis(jerk[own], 2, 1).reshape(-1, dof)[: intervals[i]]
        lasts = np.moveaxis(time[own], 2, 1).reshape(-1, dof)
        assert (lasts[: intervals[i]] == step[i]).all()
        assert not lasts[intervals[i] :].any()
        np.testing.assert_allclose(pieces, reference(t[:-1] + step[i] / 2, 3), atol=1e-9 * scale / step[i] ** 3)
        halfway = reference(t[:-1] + step[i] / 2)
        np.testing.assert_allclose(middle[first_knot[i] - i : first_knot[i + 1] - i - 1], halfway, atol=1e-12 * scale)
        fine = np.linspace(0, t[-1], 20_001)
        for order in (1, 2, 3):
            greatest = np.abs(reference(fine, order)).max(0)
            np.testing.assert_allclose(peaks[i, :, order - 1], greatest, rtol=3e-3)
            assert (peaks[i, :, order - 1] >= greatest * (1 - 1e-9)).all()
