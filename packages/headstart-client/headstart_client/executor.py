"""Chunks in, commands out: commands that keep an arm's limits whatever the policy says, and when it says nothing.

How it keeps them: a state is commanded only if the stop from it keeps every limit too. That stop is remembered; where
the next state wanted can't be left safely, the arm follows the stop instead. So there is always a way to rest.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headstart_client.checks import ChunkChecks, RefusedError
from headstart_client.events import Command, Event, EventKind
from headstart_client.limits import ArmLimits, Array
from headstart_client.motion import Motion, MotionPlanner
from headstart_client.path import Path
from headstart_client.stopping import State, Stop, Stopping

MARGIN = 1e-3
"""Share of each limit that is left free, for numbers that are rounded."""
_EVENTS = 1000


class Executor:
    """Carries out chunks of joint targets. It has no thread and no clock: time is what its caller says.

    Call `tick` once in every period, from one thread; `offer` a chunk whenever there is one, from any.

    Attributes:
        limits: the arm's, the workspace's ranges included.
        period: from one command to the next [s].
        events: what happened lately, the latest thousand.
    """

    def __init__(
        self,
        limits: ArmLimits,
        position: Sequence[float] | Array,
        *,
        rate_hz: float,
        policy_rate_hz: float,
        most_age_s: float = math.inf,
        join_s: float = 0.1,
        checks: ChunkChecks | None = None,
    ) -> None:
        """Starts at rest.

        Args:
            limits: what the arm may do; `limits.within(lower, upper)` for a workspace.
            position: where the arm is, (dof,) [rad] or [m], inside the limits.
            rate_hz: of commands, at least twice the policy's.
            policy_rate_hz: steps of a chunk in a second.
            most_age_s: the arm stops when the newest chunk's observation is older [s]; it stops at a chunk's end in any
                case.
            join_s: shortest time in which a new chunk takes over [s].
            checks: which chunks are refused.

        Raises ValueError.
        """
        if not rate_hz >= 2 * policy_rate_hz > 0:
            raise ValueError(
                f"commands at {rate_hz} Hz are too few for a policy at {policy_rate_hz} Hz; at least twice"
            )
        self.limits, self.period, self.events = limits, 1 / rate_hz, deque[Event](maxlen=_EVENTS)
        self._step_s, self._most_age_s, self._join_s = 1 / policy_rate_hz, most_age_s, join_s
        self._checks = checks or ChunkChecks()
        start = np.array(position, np.float64)
        if start.shape != limits.lower.shape or not ((limits.lower <= start) & (start <= limits.upper)).all():
            raise ValueError(
                f"the arm is at {start.tolist()}; move it inside {limits.lower.tolist()} to {limits.upper.tolist()}"
            )
        inner = limits.lessened(MARGIN, MARGIN / 100)
        self._inner = replace(inner, lower=np.minimum(inner.lower, start), upper=np.maximum(inner.upper, start))
        self._planner, self._stopping = MotionPlanner(self._inner, self.period), Stopping(self._inner)
        rest = [0.0] * limits.dof
        self._state = State(start.tolist(), rest, rest)
        # The stop from `_state`, less the ticks of it that are done; None at rest.
        self._stop: Stop | None = None
        self._stop_ticks = 0
        self._path: Path | None = None
        self._observed_at = -math.inf
        self._gripper: float | None = None
        # The motion to the next knot, and the ticks of it that are done.
        self._motion: Motion | None = None
        self._motion_ticks = 0
        self._careful = False
        self._behind = True
        self._offered: deque[tuple[Any, float]] = deque(maxlen=16)

    def offer(self, chunk: Any, observed_at: float) -> None:
        """Gives it a chunk, which is looked at in the next tick.

        Args:
            chunk: (steps, dof) joint positions [rad] or [m], or (steps, dof + 1) with the gripper last; the first is
                for the moment of the observation. Steps that are past already are dropped.
            observed_at: when the observation that it answers was taken, on the clock of `tick` [s].
        """
        self._offered.append((chunk, observed_at))

    def tick(self, now: float) -> Command:
        """The command for `now` [s], one period after the last one."""
        while self._offered:
            self._take(*self._offered.popleft(), now)
        if self._path is not None and (late := self._lateness(self._path, now)):
            self._halt(now, late)
        wanted = None if self._path is None else self._next(self._path, now)
        stop = None if wanted is None else self._stopping.from_state(wanted)
        if wanted is not None and stop is not None:
            self._state, self._stop, self._stop_ticks = wanted, stop, 0
        else:
            if wanted is not None:
                self._motion, self._careful = None, True
                self._slowed(now, "the arm could not have stopped inside its limits")
            self._follow_stop(now)
        if self._path is not None:
            self._gripper = self._path.gripper_at(now)
        position, velocity, acceleration = map(np.array, self._state)
        return Command(now, position, velocity, acceleration, self._gripper, self._path is not None)

    def _take(self, chunk: Any, observed_at: float, now: float) -> None:
        before = now - self.period
        try:
            targets, gripper = self._checks.read(chunk, observed_at, now, self._inner)
            path = Path.through(targets, gripper, observed_at, self._step_s, self._inner)
            if observed_at < self._observed_at:
                self._tell(now, "dropped", "a chunk of a newer observation is there already")
                return
            if not path.end > now or now - observed_at > self._most_age_s:
                self._tell(now, "dropped", f"the chunk is {now - observed_at:.3f} s old")
                return
            self._checks.near(targets, path.due() - before, np.array(self._state.position), self._inner)
        except RefusedError as error:
            self._tell(now, "refused", str(error))
            self._halt(now, f"the policy answered nonsense: {error}")
            return
        self._path = path.joined(np.array(self._state), before, self._inner, self._join_s)
        self._observed_at, self._motion = observed_at, None

    def _lateness(self, path: Path, now: float) -> str | None:
        """Why the chunk that is carried out is too old for it."""
        if now > path.end + self.period / 2:
            return f"the policy is late: its chunk ended at {path.end:.3f} s"
        age = now - self._observed_at
        return f"the policy is late: its chunk is {age:.3f} s old" if age > self._most_age_s else None

    def _halt(self, now: float, reason: str) -> None:
        if self._path is not None:
            self._tell(now, "stopped", reason)
        self._path, self._motion, self._behind = None, None, True

    def _next(self, path: Path, now: float) -> State | None:
        """The state wanted at `now`; None if there is no way to any."""
        motion = self._motion
        if motion is None or self._motion_ticks == motion.ticks:
            index, ticks = path.ahead(now - self.period, self.period)
            motion = self._planner.plan(self._state, path.knots[index], ticks, self._careful)
            self._motion, self._motion_ticks, self._careful = motion, 0, False
            if motion is None:
                return None
            if motion.in_time:
                self._kept_up(now)
            else:
                self._slowed(now, "limits of velocity, acceleration or jerk")
        self._motion_ticks += 1
        return motion.at(self._motion_ticks)

    def _follow_stop(self, now: float) -> None:
        if self._stop is None:
            return
        self._stop_ticks += 1
        time = self._stop_ticks * self.period
        self._state = self._stop.at(time)
        if time >= self._stop.duration:
            self._stop = None
            if self._path is None:
                self._tell(now, "rested", "the arm stands")

    def _slowed(self, now: float, reason: str) -> None:
        if not self._behind:
            self._tell(now, "slowed", reason)
        self._behind = True

    def _kept_up(self, now: float) -> None:
        if self._behind:
            self._tell(now, "followed", "chunks are carried out in time")
        self._behind = False

    def _tell(self, now: float, kind: EventKind, reason: str) -> None:
        self.events.append(Event(now, kind, reason))
