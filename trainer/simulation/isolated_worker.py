"""The process of an isolated task: `python -m trainer.simulation.isolated_worker FD TASK`, started by isolated.py.

It says what the task is, and then answers [method, arguments...] until the other side is gone. An answer is
{"value": ...} or {"fault": text}.
"""

import signal
import sys
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from shared.errors import HeadstartError
from trainer.simulation.isolated_messages import receive, send
from trainer.simulation.task import EnvironmentFault, Episode, Task, load_task


def main(descriptor: int, text: str) -> None:
    """Answers until the connection ends."""
    # Ctrl-C reaches every process of a terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    try:
        task = load_task(text)
        about = _about(task)
    except HeadstartError as error:
        send(connection, {"refused": str(error)})
        return
    except Exception as error:  # Whatever a user's task does.
        send(connection, {"refused": f"--task {text}: {_said(error)}"})
        return
    send(connection, {"value": about})
    answers = _Answers(task)
    while True:
        try:
            method, *arguments = receive(connection)
        except EOFError:
            return
        try:
            answer = {"value": getattr(answers, method)(*arguments)}
        except EnvironmentFault as fault:
            answer = {"fault": str(fault)}
        except Exception as error:  # Whatever an environment does.
            answer = {"fault": f"{method}: {_said(error)}"}
        try:
            send(connection, answer)
        except (TypeError, ValueError) as error:
            send(connection, {"fault": f"{method} gave something that is no numbers ({error})"})


def _about(task: Task) -> dict[str, Any]:
    return {
        "name": str(task.name),
        "robot": str(task.robot),
        "rate_hz": float(task.rate_hz),
        "action": str(task.action),
        "action_width": int(task.action_width),
        "episode_limit": int(task.episode_limit),
        "observation_widths": {str(key): int(width) for key, width in task.observation_widths.items()},
        "cameras": [str(name) for name in task.cameras],
        "has_expert": getattr(task, "expert", None) is not None,
    }


class _Answers:
    """What can be asked: the methods of `Episode`, of the one that runs."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._episode: Episode | None = None
        self._expert: Iterator[Any] | None = None

    def begin(self, seed: int) -> None:
        self._expert = None
        self._episode = self._task.begin(seed)

    def expert(self) -> Any:
        """The expert's next action; None when it is done."""
        if self._expert is None:
            self._expert = iter(self._task.expert(self._episode))  # type: ignore[attr-defined]
        return next(self._expert, None)

    def observation(self) -> Any:
        assert self._episode is not None
        return dict(self._episode.observation())

    def reached(self) -> Any:
        """Nothing where the episode does not tell."""
        tells = getattr(self._episode, "reached", dict)
        return dict(tells())

    def pictures(self, sizes: dict[str, list[int]]) -> Any:
        assert self._episode is not None
        return dict(self._episode.pictures({name: (size[0], size[1]) for name, size in sizes.items()}))

    def step(self, action: Any) -> tuple[bool, bool]:
        """Also whether it succeeded, and whether it is over."""
        assert self._episode is not None
        self._episode.step(action)
        return bool(self._episode.succeeded()), bool(self._episode.over())

    def close(self) -> None:
        if self._episode is not None:
            self._episode.close()
            self._episode = None


def _said(error: Exception) -> str:
    """An exception in a line: what, and where of its own code it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
