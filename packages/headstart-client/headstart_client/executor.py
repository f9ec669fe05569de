"""Chunks in, commands out: commands that keep an arm's limits whatever the policy says, and when it says nothing.

How it keeps them: a state is commanded only if the stop from it keeps every limit too. Where the next state wanted is
not such a one, the arm follows the stop from the state that it is in. So there is always a way to rest.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headstart_client.checks import ChunkChecks, RefusedError
from headstart_client.events import Command, Event, EventKind
from headstart_client.guard import Guard, Surroundings
from headstart_client.limits import ArmLimits, Array
from headstart_client.motion import Motion, MotionPlanner
from headstart_client.path import Path
from headstart_client.stopping import State, Stop

MARGIN = 1e-3
"""Share of each limit that is left free, for numbers that are rounded."""
_LIMITS = "limits of velocity, acceleration or jerk"
"""Why an arm is slower than its chunk, if nothing is in the way."""
_EVENTS = 1000
_HISTORY_S = 1.0
"""Of commands that a prefix can begin with."""


class Executor:
    """Carries out chunks of joint targets. It has no thread and no clock: time is what its caller says.

    Call `tick` once in every period, from one thread; `offer` a chunk whenever there is one, from any.

    Attributes:
        limits: the arm's, the workspace's ranges included.
        period: from one command to the next [s].
        step_s: from one step of a chunk to the next [s].
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
        join_s: float = 0.2,
        checks: ChunkChecks | None = None,
        keepouts: Surroundings | None = None,
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
            keepouts: what the arm may not touch; it stops before that, and goes on when chunks lead away from it.

        Raises ValueError.
        """
        if not rate_hz >= 2 * policy_rate_hz > 0:
            raise ValueError(
                f"commands at {rate_hz} Hz are too few for a policy at {policy_rate_hz} Hz; at least twice"
            )
        self.limits, self.period, self.events = limits, 1 / rate_hz, deque[Event](maxlen=_EVENTS)
        self.step_s, self._most_age_s, self._join_s = 1 / policy_rate_hz, most_age_s, join_s
        self._checks = checks or ChunkChecks()
        start = np.array(position, np.float64)
        if start.shape != limits.lower.shape or not ((limits.lower <= start) & (start <= limits.upper)).all():
            raise ValueError(
                f"the arm is at {start.tolist()}; move it inside {limits.lower.tolist()} to {limits.upper.tolist()}"
            )
        # Twice, so that what is planned up to its limit is not refused for its last digits.
        self._inner = _around(start, limits.lessened(MARGIN, MARGIN / 100))
        self._planner = MotionPlanner(self._inner, self.period)
        self._guard = Guard(_around(start, limits.lessened(MARGIN / 2, MARGIN / 200)), self.period)
        rest = [0.0] * limits.dof
        self._state, self._keepouts = State(start.tolist(), rest, rest), keepouts
        if keepouts is not None and (met := keepouts.meets(self._state, self._guard.stop(self._state))):
            raise ValueError(f"the arm is too near to what it may not touch: {met}; move it away")
        # The stop that the arm is on, and the ticks of it that are done.
        self._stop: Stop | None = None
        self._stop_ticks = 0
        self._stands, self._rested_at = True, -math.inf
        self._path: Path | None = None
        self._newest, self._now = -math.inf, 0.0
        self._gripper: float | None = None
        # The motion to the next knot, and the ticks of it that are done.
        self._motion: Motion | None = None
        self._motion_ticks = 0
        self._careful = False
        # Whether a keep-out is in the way of the path.
        self._held = False
        # Why it is behind its chunk, empty where it is not.
        self._behind = {_LIMITS}
        self._history: deque[tuple[list[float], float | None]] = deque(maxlen=math.ceil(_HISTORY_S * rate_hz))
        self._offered: deque[tuple[Any, float]] = deque(maxlen=16)

    def offer(self, chunk: Any, observed_at: float) -> None:
        """Gives it a chunk, which is looked at in the next tick.

        Args:
            chunk: (steps, dof) joint positions [rad] or [m], or (steps, dof + 1) with the gripper last; the first is
                for the moment of the observation. Steps that are past already are dropped.
            observed_at: when the observation that it answers was taken, on the clock of `tick` [s].
        """
        self._offered.append((chunk, float(observed_at)))

    @property
    def resting(self) -> bool:
        """Whether the arm stands, and will until there is a chunk."""
        return self._path is None and self._stands

    @property
    def position(self) -> Array:
        """What was commanded last, (dof,) [rad] or [m]. From any thread."""
        return np.array(self._state.position)

    def note(self, kind: EventKind, reason: str) -> None:
        """Puts an event beside its own, at the time of its latest command. From any thread."""
        self._tell(self._now, kind, reason)

    def halt(self, now: float, reason: str) -> None:
        """Stops the arm, from the next tick on, until another chunk is offered."""
        self._offered.clear()
        self._halt(now, reason)

    def prefix(self, observed_at: float, past: int, ahead: int) -> Array | None:
        """What is fixed already, for a policy that goes on from there: actions (m, dof), or (m, dof + 1) with gripper.

        Not while it ticks.

        Args:
            observed_at: moment of the observation [s].
            past: how many of the actions commanded before it, one step apart.
            ahead: how many from it on, which are carried out before there is an answer; fewer where the chunk ends.

        Returns: None where it did not yet carry out chunks for so long.
        """
        # What was offered since the last tick is what will be carried out.
        self._take_offered(self._now + self.period)
        times = observed_at + self.step_s * np.arange(-past, ahead)
        times = times[times <= (math.inf if self._path is None else self._path.end)]
        ticks = np.round((times - self._now) / self.period).astype(int).tolist()
        if not ticks or not self._history or ticks[0] <= -len(self._history):
            return None
        known = [self._history[tick - 1] for tick in ticks if tick <= 0]
        known += self._foreseen([tick for tick in ticks if tick > 0])
        return np.array([position if gripper is None else [*position, gripper] for position, gripper in known])

    def _foreseen(self, ticks: list[int]) -> list[tuple[list[float], float | None]]:
        """What will be commanded after so many ticks: where the arm is behind its path, that is not the path."""
        if self._path is None or self._held:
            stop, done = self._stop or self._guard.stop(self._state), self._stop_ticks if self._stop else 0
            return [(stop.at((done + tick) * self.period).position, self._gripper) for tick in ticks]
        path, done = self._path, self._motion_ticks if self._motion else 0
        begun = self._now - done * self.period
        states = self._planner.foresee(self._state, begun, path, self._motion, [done + tick for tick in ticks])
        grippers = [path.gripper_at(self._now + tick * self.period) for tick in ticks]
        return [(state.position, gripper) for state, gripper in zip(states, grippers, strict=True)]

    def tick(self, now: float) -> Command:
        """The command for `now` [s], one period after the last one."""
        self._take_offered(now)
        if self._path is not None and (late := self._lateness(self._path, self._newest, now)):
            self._halt(now, late)
        wanted = None if self._path is None else self._next(self._path, now)
        possible = wanted is not None and self._guard.allows(self._state, wanted)
        met = None if wanted is None or not possible else self._met(wanted)
        self._held = met is not None
        if wanted is not None and possible and met is None:
            self._state, self._stop, self._stands = wanted, None, False
        else:
            if self._path is not None:
                self._motion, self._careful = None, not possible
                near = f"it would come too near: {met}"
                self._slowed(now, near if met else "what it wants can't be left inside the limits")
            self._follow_stop(now)
        if self._path is not None:
            self._gripper = self._path.gripper_at(now)
        if self._newest > -math.inf:
            self._history.append((self._state.position, self._gripper))
        self._now = now
        position, velocity, acceleration = map(np.array, self._state)
        return Command(now, position, velocity, acceleration, self._gripper, self._path is not None)

    def _take_offered(self, now: float) -> None:
        while self._offered:
            self._take(*self._offered.popleft(), now)

    def _take(self, chunk: Any, observed_at: float, now: float) -> None:
        if observed_at < self._newest:
            self._tell(now, "dropped", "a chunk of a newer observation is there already")
            return
        before, position = now - self.period, np.array(self._state.position)
        try:
            if not observed_at <= now + self.step_s:
                raise RefusedError(f"its observation is of {observed_at} s, and it is {now} s")
            targets, gripper = self._checks.read(chunk, self._inner)
            path = Path.through(targets, gripper, observed_at, self.step_s, self._inner)
            if self.resting and self._rested_at <= observed_at <= before <= path.end:
                # While the arm stood, nothing of the chunk has passed.
                path = replace(path, start=before)
            self._checks.near(targets, path.due() - before, position, self._inner)
        except RefusedError as error:
            self._tell(now, "refused", str(error))
            self._halt(now, f"the policy answered nonsense: {error}")
            return
        if late := self._lateness(path, observed_at, now):
            self._tell(now, "dropped", late)
            return
        self._path = path.joined(np.array(self._state), before, self._inner, self._join_s)
        self._newest, self._motion, self._held = observed_at, None, False

    def _lateness(self, path: Path, observed_at: float, now: float) -> str | None:
        """Why a chunk is too old to be carried out."""
        if now > path.end + self.period / 2:
            return f"the policy is late: its chunk ended at {path.end:.3f} s"
        age = now - observed_at
        return f"the policy is late: its chunk is {age:.3f} s old" if age > self._most_age_s else None

    def _halt(self, now: float, reason: str) -> None:
        if self._path is not None:
            self._tell(now, "stopped", reason)
        self._path, self._motion, self._behind = None, None, {_LIMITS}

    def _next(self, path: Path, now: float) -> State | None:
        """The state wanted at `now`; None if there is no way to any."""
        motion = self._motion
        if motion is None or self._motion_ticks == motion.ticks:
            motion = self._planner.plan(self._state, now - self.period, path, self._careful)
            self._motion, self._motion_ticks, self._careful = motion, 0, False
            if motion is None:
                return None
            if motion.in_time:
                self._kept_up(now)
            else:
                self._slowed(now, _LIMITS)
        self._motion_ticks += 1
        return motion.at(self._motion_ticks)

    def _met(self, wanted: State) -> str | None:
        """What the arm would come too near to on the stop from a state."""
        return None if self._keepouts is None else self._keepouts.meets(wanted, self._guard.stop(wanted))

    def _follow_stop(self, now: float) -> None:
        if self._stands:
            return
        if self._stop is None:
            self._stop, self._stop_ticks = self._guard.stop(self._state), 0
        self._stop_ticks += 1
        time = self._stop_ticks * self.period
        self._state = self._stop.at(time)
        if time >= self._stop.duration:
            self._stop, self._stands, self._rested_at = None, True, now
            self._tell(now, "rested", "the arm stands")

    def _slowed(self, now: float, reason: str) -> None:
        # Each reason once until it keeps up again: they may take turns, tick by tick. That of limits needs no telling
        # where an arm begins to move.
        if reason not in self._behind:
            self._tell(now, "slowed", reason)
        self._behind.add(reason)

    def _kept_up(self, now: float) -> None:
        if self._behind:
            self._tell(now, "followed", "chunks are carried out in time")
        self._behind.clear()

    def _tell(self, now: float, kind: EventKind, reason: str) -> None:
        self.events.append(Event(now, kind, reason))


def _around(position: Array, limits: ArmLimits) -> ArmLimits:
    """Limits in which a position is allowed too, as an arm may start at the end of its range."""
    return replace(limits, lower=np.minimum(limits.lower, position), upper=np.maximum(limits.upper, position))
