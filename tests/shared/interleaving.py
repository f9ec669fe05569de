"""Walks through the orders in which programs may call one storage, each in a thread that waits for its turn.

A step is one call, whole. Orders that differ only in steps that do not touch one another (two reads, or calls of other
files) come to the same, so one of them is walked: sleep sets, as in Godefroid, Partial-Order Methods (1996).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shared.dataset import Dataset
from shared.storage import Storage

_WRITES = {"create", "replace", "remove"}
_READS = {"read", "read_all", "names"}


@dataclass(frozen=True)
class Call:
    """What a program is about to do to the storage."""

    kind: str
    names: frozenset[str]

    def touches(self, other: "Call") -> bool:
        """Whether the order of the two matters."""
        if not {self.kind, other.kind} & _WRITES:
            return False
        return any(a == b or a.startswith(f"{b}/") or b.startswith(f"{a}/") for a in self.names for b in other.names)


class _KilledError(BaseException):
    """Its process is gone."""


class Program:
    """Runs `act` on a dataset of its own at a place; makes a call of the storage only when told to.

    Attributes:
        pending: the next call; None once it has ended.
        error: what it raised.
    """

    def __init__(self, where: str, act: Callable[[Dataset], Any]) -> None:
        self.pending: Call | None = None
        self.error: BaseException | None = None
        self._turn, self._ready = threading.Semaphore(0), threading.Semaphore(0)
        self._killed = False
        dataset = Dataset(where)
        dataset.storage = dataset._folder.storage = self._stepping(dataset.storage)
        self._thread = threading.Thread(target=self._run, args=(act, dataset), daemon=True)
        self._thread.start()
        self._ready.acquire()

    def step(self) -> None:
        """Makes the pending call, and goes on to the next."""
        self._turn.release()
        self._ready.acquire()
        assert self.error is None, self.error

    def kill(self) -> None:
        """Ends it where it is."""
        self._killed = True
        self._turn.release()
        self._thread.join()

    def _run(self, act: Callable[[Dataset], Any], dataset: Dataset) -> None:
        try:
            act(dataset)
        except _KilledError:
            return
        except BaseException as error:
            self.error = error
        self.pending = None
        self._ready.release()

    def _stepping(self, storage: Storage) -> Any:
        program = self

        class Stepping:
            def __getattr__(self, name: str) -> Any:
                method = getattr(storage, name)
                if name not in _WRITES | _READS:
                    return method

                def call(argument: Any, *more: Any) -> Any:
                    names = [argument] if isinstance(argument, str) else list(argument)
                    program.pending = Call(name, frozenset(names))
                    program._ready.release()
                    program._turn.acquire()
                    if program._killed:
                        raise _KilledError
                    return method(names[0] if isinstance(argument, str) else names, *more)

                return call

        return Stepping()


def walk(
    start: Callable[[], tuple[Sequence[Program], Callable[[], None]]],
) -> Iterator[list[int]]:
    """Every order of the programs' steps, up to what comes to the same. Yields each, when it has been walked.

    Args:
        start: makes the programs anew, at a place of their own, and gives what to check after each step.
    """
    # What is left to walk: the order of the steps before, and which programs need not go on there.
    left: list[tuple[list[int], dict[int, Call]]] = [([], {})]
    while left:
        order, asleep = left.pop()
        programs, check = start()
        for who in order:
            programs[who].step()
        while True:
            if order:
                check()
            able = {who: program.pending for who, program in enumerate(programs) if program.pending is not None}
            awake = [who for who in able if who not in asleep]
            if not able:
                yield order
            if not awake:
                break
            done = dict(asleep)
            for who in awake:
                call = able[who]
                assert call is not None
                child = {other: its for other, its in done.items() if not its.touches(call)}
                if who == awake[0]:
                    following = child
                else:
                    left.append(([*order, who], child))
                done[who] = call
            programs[awake[0]].step()
            order, asleep = [*order, awake[0]], following
        for program in programs:
            program.kill()
