"""What a policy does on an arm, for the Rerun viewer, live or in a file (extra [viewer], Python 3.11 and later).

    command/position    what was commanded, one value for each joint [rad or m]; likewise command/velocity and
                        command/acceleration; command/gripper once the policy has said something of it
    limits/lower        of positions [rad or m], at the first and the last command; limits/upper
    predicted           chunks as they were answered: each step at the time for which it is meant
    demonstration       what was demonstrated, likewise
    camera/NAME         pictures that the policy saw
    events              what the executor says of itself

All are on the time line `time`, in seconds from the first thing recorded; `predicted` is also on `chunk`, which counts
answers.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart_client.events import Command, Event
from headstart_client.executor import Executor
from headstart_client.limits import ArmLimits, Array
from headstart_client.runner import Runner

try:
    import rerun as rr
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "recordings need rerun-sdk: pip install 'headstart-client[viewer]'", name=error.name
    ) from error

_USUAL = ("followed", "rested")
_SOURCES = 100
"""Of events, at most."""

_TOGETHER = 100
"""Commands that are handed over at once: one by one they would keep a fast arm waiting."""


class Recording:
    """One recording. Use it as a context manager, or close it: the last commands are written then."""

    def __init__(self, to: Path | str, *, limits: ArmLimits | None = None, joint_names: Sequence[str] = ()) -> None:
        """Begins it.

        Args:
            to: a file to write (.rrd), or the URL of a viewer that runs (rerun+http://127.0.0.1:9876/proxy).
            limits: of the arm.
            joint_names: of the joints, for the viewer's legends.
        """
        self._stream = rr.RecordingStream("headstart")
        if "://" in str(to):
            self._stream.connect_grpc(str(to))
        else:
            self._stream.save(str(to))
        self._limits, self._chunks = limits, 0
        # The last event of each call, by which the next one finds what is new; and the events of runners.
        self._told, self._watched = deque[Event](maxlen=_SOURCES), list[Iterable[Event]]()
        self._begins: float | None = None
        self._commands: list[Command] = []
        self._last: float | None = None
        # Commands and answers come from two threads.
        self._lock = threading.Lock()
        for path in ("command/position", "command/velocity", "command/acceleration") if joint_names else ():
            self._stream.log(path, rr.SeriesLines(names=list(joint_names)), static=True)

    def command(self, command: Command) -> None:
        """What the arm is told."""
        if self._last is None:
            self._limits_at(command.time)
        self._last = command.time
        self._commands.append(command)
        if len(self._commands) == _TOGETHER:
            self._flush()

    def actions(self, path: str, values: ArrayLike, times: ArrayLike, **counts: int) -> None:
        """Rows (n, width) at `path`, each at its time [s]; all at one place of the time lines named in `counts`."""
        rows = np.asarray(values, np.float64)
        if not rows.size:
            return
        moments = self._since(np.asarray(times, np.float64))
        indexes: list[Any] = [rr.TimeColumn("time", duration=moments)]
        indexes += [rr.TimeColumn(name, sequence=[number] * len(rows)) for name, number in counts.items()]
        self._stream.send_columns(path, indexes=indexes, columns=rr.Scalars.columns(scalars=rows))

    def chunk(self, chunk: ArrayLike, observed_at: float, step_s: float) -> None:
        """An answer (steps, width), the first step of which is for the moment of the observation [s]."""
        self.actions("predicted", chunk, observed_at + step_s * np.arange(len(np.asarray(chunk))), chunk=self._chunks)
        self._chunks += 1

    def demonstration(self, actions: ArrayLike, step_s: float, begins: float = 0.0) -> None:
        """Actions (steps, width) that were demonstrated, from a time on [s]."""
        self.actions("demonstration", actions, begins + step_s * np.arange(len(np.asarray(actions))))

    def picture(self, camera: str, picture: NDArray[np.uint8], time: float, under: str = "") -> None:
        """What a camera saw, (height, width, 3), at `under` + camera/NAME."""
        self._set_time(time)
        self._stream.log(f"{under}camera/{camera}", rr.Image(picture).compress(jpeg_quality=85))

    def events(self, events: Iterable[Event]) -> None:
        """Events of an executor that came after all those that were recorded, in its order."""
        new = list[Event]()
        for event in reversed(list(events)):
            if any(event is told for told in self._told):
                break
            new.append(event)
        for event in reversed(new):
            self._set_time(event.time)
            level = rr.TextLogLevel.INFO if event.kind in _USUAL else rr.TextLogLevel.WARN
            self._stream.log("events", rr.TextLog(f"{event.kind}: {event.reason}", level=level))
        self._told.extend(new[:1])

    def runner(
        self,
        executor: Executor,
        policy: Callable[[Any, Array | None], Any],
        observe: Callable[[], Any],
        send: Callable[[Command], None],
        **options: Any,
    ) -> Runner:
        """A Runner, whose commands, answers, pictures and events are recorded; its arguments are Runner's.

        Answers and pictures that are no arrays of numbers are not recorded, and reach the executor and the policy as
        they are.
        """
        seen_at = 0.0
        self._watched.append(executor.events)

        def observing() -> Any:
            nonlocal seen_at
            seen, seen_at = observe(), time.monotonic()
            for name, value in seen.items() if isinstance(seen, dict) else ():
                pictures = _array(value)
                if pictures.dtype == np.uint8 and pictures.ndim == 4 and pictures.size and pictures.shape[-1] == 3:
                    self.picture(name, pictures[-1], seen_at)
            return seen

        def asking(observation: Any, prefix: Array | None) -> Any:
            chunk = policy(observation, prefix)
            steps = _array(chunk)
            if steps.dtype.kind in "biuf" and steps.ndim == 2 and steps.size:
                self.chunk(steps, seen_at, executor.step_s)
            else:
                self._chunks += 1
            return chunk

        def sending(command: Command) -> None:
            send(command)
            self.command(command)
            if not self._commands:
                self.events(executor.events)

        return Runner(executor, asking, observing, sending, **options)

    def close(self) -> None:
        """Writes what is left, the latest events of runners too."""
        self._flush()
        for events in self._watched:
            self.events(events)
        if self._last is not None:
            self._limits_at(self._last)
        self._stream.flush()
        self._stream.disconnect()

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _flush(self) -> None:
        commands, self._commands = self._commands, []
        if not commands:
            return
        times = [command.time for command in commands]
        for name in ("position", "velocity", "acceleration"):
            self.actions(f"command/{name}", [getattr(command, name) for command in commands], times)
        grippers = [(command.time, command.gripper) for command in commands if command.gripper is not None]
        if grippers:
            moments, values = np.array(grippers).T
            self.actions("command/gripper", values[:, None], moments)

    def _limits_at(self, time: float) -> None:
        if self._limits is not None:
            self.actions("limits/lower", [self._limits.lower], [time])
            self.actions("limits/upper", [self._limits.upper], [time])

    def _set_time(self, time: float) -> None:
        self._stream.set_time("time", duration=float(self._since(np.array([time]))[0]))

    def _since(self, times: Array) -> Array:
        """Times from the first that there was [s]."""
        with self._lock:
            if self._begins is None:
                self._begins = float(times[0])
        return times - self._begins


def _array(value: Any) -> NDArray[Any]:
    """A value of any kind as an array; an empty one where it can be none."""
    try:
        return np.asarray(value)
    except Exception:  # Of anyone's class: a recording must not end a run.
        return np.empty(0)
