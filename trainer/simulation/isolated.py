"""Tasks that are not ours, in processes of their own: what crashes or hangs there costs one rollout, and no more."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shared.errors import SimulationError
from trainer.config import ActionName
from trainer.simulation.isolated_messages import receive, send
from trainer.simulation.offscreen import likely_backend
from trainer.simulation.task import EnvironmentFault, Episode, Task, load_task, task_names

_START_S = 300.0
"""How long a task may take to be imported and made."""
PATIENCE_S = 60.0
"""How long an environment may take to begin an episode, or for a step, by default."""


@contextmanager
def open_task(text: str, patience_s: float = PATIENCE_S) -> Iterator[Task]:
    """The task that `--task` names: one of ours in this process, any other in processes of its own.

    Raises:
        SimulationError: as `load_task`.
    """
    if text in task_names():
        yield load_task(text)
        return
    task = IsolatedTask(text, patience_s)
    try:
        yield task
    finally:
        task.close()


class IsolatedTask:
    """A `Task` whose episodes run in processes, one in each at a time.

    Attributes:
        has_expert: whether it has an expert.
    """

    def __init__(self, text: str, patience_s: float = PATIENCE_S) -> None:
        """Starts a process. Raises SimulationError where there is no such task, or it can't be made."""
        self._text, self._patience_s = text, patience_s
        first = _Process(text, patience_s)
        self._idle, self._every = [first], [first]
        about = first.about
        self.name = cast(str, about["name"])
        self.robot = cast(str, about["robot"])
        self.rate_hz = cast(float, about["rate_hz"])
        self.action = cast(ActionName, about["action"])
        self.action_width = cast(int, about["action_width"])
        self.episode_limit = cast(int, about["episode_limit"])
        self.observation_widths = cast(dict[str, int], about["observation_widths"])
        self.cameras = tuple(cast(list[str], about["cameras"]))
        self.has_expert = bool(about["has_expert"])

    def begin(self, seed: int) -> "IsolatedEpisode":
        """The episode of a seed, in a process that has none. Raises EnvironmentFault."""
        process = self._idle.pop() if self._idle else self._started()
        episode = IsolatedEpisode(self, process)
        episode.call("begin", seed)
        return episode

    def expert(self, episode: Episode) -> Iterator[NDArray[np.float64]]:
        """The expert's actions in an episode of this task. Raises EnvironmentFault."""
        assert isinstance(episode, IsolatedEpisode)
        while (action := episode.call("expert")) is not None:
            yield np.asarray(action, np.float64)

    def take_back(self, process: "_Process") -> None:
        """A process whose episode has ended."""
        if process.alive:
            self._idle.append(process)
        else:
            self._every.remove(process)

    def close(self) -> None:
        """Ends all processes."""
        for process in self._every:
            process.end()
        self._every, self._idle = [], []

    def _started(self) -> "_Process":
        try:
            process = _Process(self._text, self._patience_s)
        except SimulationError as error:
            raise EnvironmentFault(str(error)) from error
        self._every.append(process)
        return process


class IsolatedEpisode:
    """An `Episode` in a process."""

    def __init__(self, task: IsolatedTask, process: "_Process") -> None:
        self._task = task
        self._process: _Process | None = process
        self._succeeded, self._over = False, False

    def call(self, method: str, *arguments: Any) -> Any:
        """What a method of the episode there returns. Raises EnvironmentFault; after a crash or a hang, always."""
        if self._process is None:
            raise EnvironmentFault("the episode has ended")
        try:
            return self._process.call(method, *arguments)
        except EnvironmentFault:
            if not self._process.alive or method == "begin":
                self._give_back()
            raise

    def observation(self) -> Mapping[str, NDArray[Any]]:
        """As the task's episode."""
        return cast(Mapping[str, NDArray[Any]], self.call("observation"))

    def reached(self) -> Mapping[str, NDArray[Any]]:
        """As the task's episode; nothing where that does not tell."""
        return cast(Mapping[str, NDArray[Any]], self.call("reached"))

    def pictures(self, sizes: Mapping[str, tuple[int, int]]) -> Mapping[str, NDArray[np.uint8]]:
        """As the task's episode."""
        return cast(Mapping[str, NDArray[np.uint8]], self.call("pictures", {k: list(v) for k, v in sizes.items()}))

    def step(self, action: NDArray[np.floating]) -> None:
        """As the task's episode."""
        self._succeeded, self._over = self.call("step", np.asarray(action))

    def succeeded(self) -> bool:
        """After the last step."""
        return self._succeeded

    def over(self) -> bool:
        """After the last step."""
        return self._over

    def close(self) -> None:
        """Gives the process back, or ends it where the episode can't be closed."""
        if self._process is not None:
            try:
                self._process.call("close")
            except EnvironmentFault:
                self._process.end()
            self._give_back()

    def _give_back(self) -> None:
        assert self._process is not None
        self._task.take_back(self._process)
        self._process = None


class _Process:
    """isolated_worker.py with one task.

    Attributes:
        about: what the task says of itself.
        alive: whether it can be asked.
    """

    def __init__(self, text: str, patience_s: float) -> None:
        self._patience_s = patience_s
        ours, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        backend = likely_backend()
        if backend is not None:
            environment.setdefault("MUJOCO_GL", backend)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trainer.simulation.isolated_worker", str(theirs.fileno()), text],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._stderr,
                stderr=self._stderr,
            )
        self._connection = Connection(ours.detach())
        self.alive = True
        try:
            answer = self._answer(f"--task {text}", _START_S)
        except EnvironmentFault as fault:
            raise SimulationError(str(fault)) from fault
        if "refused" in answer:
            self.end()
            raise SimulationError(answer["refused"])
        self.about: dict[str, Any] = answer["value"]

    def call(self, method: str, *arguments: Any) -> Any:
        """What a method there returns. Raises EnvironmentFault."""
        # Where it is gone, what it said last is read below.
        with suppress(OSError):
            send(self._connection, [method, *arguments])
        answer = self._answer(method, self._patience_s)
        if "fault" in answer:
            raise EnvironmentFault(answer["fault"])
        return answer["value"]

    def _answer(self, what: str, patience_s: float) -> Any:
        try:
            if self._connection.poll(patience_s):
                return receive(self._connection)
        except (EOFError, OSError) as error:
            self.end()
            raise EnvironmentFault(f"{what}: its process died ({self._last_words})") from error
        except BaseException:
            self.end()
            raise
        self.end()
        raise EnvironmentFault(f"{what} took longer than {patience_s:g} s; its process was ended")

    def end(self) -> None:
        """Kills it."""
        if self.alive:
            self.alive = False
            self._process.kill()
            self._process.wait()
            self._connection.close()
            self._stderr.seek(0)
            lines = self._stderr.read().decode(errors="replace").strip().splitlines()
            self._last_words = lines[-1] if lines else "it said nothing"
            self._stderr.close()
