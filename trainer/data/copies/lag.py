"""How an arm follows its commands: as a second-order system, fitted to demonstrations.

    x'' = w^2 (u - x) - 2 z w x'

with the command u held over each control step (the response of an impedance or operational-space controller; Khatib
1987, "A unified approach for motion and force control"). Rotations follow as unit quaternions do, component by
component and made unit again, which is the same in every frame.

SciPy is imported where it is used: its signal package takes as long as a quarter of PyTorch, and every training imports
this file, most of them for nothing.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_DELAYS = (0, 1, 2, 3)
"""Control steps that a command may take until the arm begins to follow it."""
_START = (10.0, 1.0)
"""Frequency [rad/s] and damping that the fit starts from."""
_NOTHING = 1e-14
"""A squared error [m^2] that is none."""
_HIGHEST = 1e3
"""Frequency [rad/s] above which an arm is where it was told to be."""


@dataclass(frozen=True)
class Lag:
    """A second-order lag.

    Attributes:
        frequency: natural, w [rad/s].
        damping: z.
        delay: control steps before a command begins to act.
        rate_hz: control rate.
    """

    frequency: float
    damping: float
    delay: int
    rate_hz: float

    @classmethod
    def fit(cls, commanded: Sequence[FloatArray], observed: Sequence[FloatArray], rate_hz: float) -> "Lag":
        """The lag by which positions (T, 3) follow commanded ones with the least squared error."""
        from scipy.optimize import minimize

        # All at once, each as long as the longest: what is behind an end is not looked at.
        longest = max(map(len, commanded))
        given = np.stack([np.pad(u, ((0, longest - len(u)), (0, 0)), "edge") for u in commanded], axis=1)
        seen = np.stack([np.pad(x, ((0, longest - len(x)), (0, 0))) for x in observed], axis=1)
        inside = np.arange(longest)[:, None] < [len(u) for u in commanded]

        def error(parameters: FloatArray, delay: int) -> float:
            frequency, damping = np.exp(np.clip(parameters, -3, np.log(_HIGHEST)))
            lag = cls(float(frequency), float(damping), delay, rate_hz)
            off = (lag.follow(given) - seen)[inside]
            # Its logarithm: what is a small change of it does not depend on how far the arm moves.
            return float(np.log(np.mean(off**2) + _NOTHING))

        best, least = cls(*_START, 0, rate_hz), np.inf
        for delay in _DELAYS:
            found = minimize(
                error, np.log(_START), args=(delay,), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4}
            )
            # A longer delay must be worth it, or an arm that follows slowly has any.
            if found.fun < least - 0.01:
                frequency, damping = np.exp(np.clip(found.x, -3, np.log(_HIGHEST)))
                best, least = cls(float(frequency), float(damping), delay, rate_hz), found.fun
        return best

    def follow(self, commanded: FloatArray) -> FloatArray:
        """Values (T, ...) observed before each command (T, ...), from rest at the first one."""
        from scipy.signal import lfilter

        numerator, denominator = _transfer(self.frequency, self.damping, self.rate_hz)
        since = commanded - commanded[:1]
        delayed = np.concatenate([np.zeros((self.delay, *since.shape[1:])), since])[: len(since)]
        return np.asarray(commanded[:1] + lfilter(numerator, denominator, delayed, axis=0))

    def follow_rotation(self, quat: FloatArray) -> FloatArray:
        """Unit quaternions (T, 4) observed before each commanded one, (T, 4)."""
        flips = (quat[1:] * quat[:-1]).sum(1) < 0
        signs = np.where(np.concatenate([[False], np.cumsum(flips) % 2 == 1]), -1.0, 1.0)
        followed = self.follow(quat * signs[:, None])
        return np.asarray(followed / np.linalg.norm(followed, axis=1, keepdims=True))


@functools.lru_cache(maxsize=16)
def _transfer(frequency: float, damping: float, rate_hz: float) -> tuple[FloatArray, FloatArray]:
    """The discrete transfer function from commands to values: numerator and denominator."""
    from scipy.linalg import expm
    from scipy.signal import ss2tf

    augmented = np.zeros((3, 3))
    augmented[0, 1] = 1.0
    augmented[1] = -(frequency**2), -2 * damping * frequency, frequency**2
    step = expm(augmented / rate_hz)
    numerator, denominator = ss2tf(step[:2, :2], step[:2, 2:], np.array([[1.0, 0.0]]), np.zeros((1, 1)))
    return numerator[0], denominator
