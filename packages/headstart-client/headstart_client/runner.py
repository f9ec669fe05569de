"""Runs an executor in real time, while a policy is asked for the next chunk in a thread of its own."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from headstart_client.events import Command, Event
from headstart_client.executor import Executor
from headstart_client.limits import Array
from headstart_client.policy_client import PolicyError

_MEASURED = 10
"""Answers whose latency is remembered."""


class Runner:
    """Ticks, sends commands, and asks.

    Attributes:
        executor: what it runs.
    """

    def __init__(
        self,
        executor: Executor,
        policy: Callable[[Any, Array | None], Any],
        observe: Callable[[], Any],
        send: Callable[[Command], None],
        *,
        ask_every_s: float = 0.2,
        past_steps: int | None = None,
    ) -> None:
        """Takes what it runs.

        Args:
            executor: whose time is time.monotonic().
            policy: from an observation and a prefix to a chunk; a PolicyClient, or a function. PolicyError means no
                answer: the arm goes on with what it has, and stops where that ends.
            observe: the latest observation; called in the policy's thread.
            send: hands a command to the arm; called in the thread of `run`, which it must not keep waiting.
            ask_every_s: shortest time from one observation to the next [s].
            past_steps: actions before the observation that a prefix begins with, a policy's n_obs_steps - 1; None for
                a policy that takes no prefix.
        """
        self.executor, self._policy, self._observe, self._send = executor, policy, observe, send
        self._ask_every_s, self._past_steps = ask_every_s, past_steps
        self._latencies = deque([0.0], maxlen=_MEASURED)
        self._ending, self._lock = threading.Event(), threading.Lock()
        self._error: Exception | None = None
        self._due = -math.inf

    @property
    def latency_s(self) -> float:
        """The time from an observation to its answer, the longest of the last ten [s]."""
        return max(self._latencies)

    def stop(self) -> None:
        """Ends `run`, once the arm stands. From any thread."""
        self._ending.set()

    def run(self) -> None:
        """Ticks until `stop`, then stops the arm. Raises what `observe`, `policy` or `send` raised, once it stands."""
        asking = threading.Thread(target=self._ask, name="headstart-policy", daemon=True)
        asking.start()
        try:
            while not self._ending.is_set():
                self._tick()
        finally:
            # Whatever ended it, Ctrl-C included.
            self._ending.set()
            while not self.executor.resting:
                self._tick()
            asking.join(timeout=self._ask_every_s)
        if self._error is not None:
            raise self._error

    def _tick(self) -> None:
        # After a long wait it goes on from now: ticks that were missed are not made up for.
        self._due = max(self._due + self.executor.period, time.monotonic())
        time.sleep(max(0.0, self._due - time.monotonic()))
        with self._lock:
            if self._ending.is_set():
                self.executor.halt(self._due, "it was told to")
            command = self.executor.tick(self._due)
        self._send(command)

    def _ask(self) -> None:
        try:
            while not self._ending.is_set():
                observed_at = time.monotonic()
                observation = self._observe()
                try:
                    chunk = self._policy(observation, self._prefix(observed_at))
                except PolicyError as error:
                    self.executor.events.append(Event(time.monotonic(), "unanswered", str(error)))
                else:
                    self.executor.offer(chunk, observed_at)
                    self._latencies.append(time.monotonic() - observed_at)
                self._ending.wait(max(0.0, observed_at + self._ask_every_s - time.monotonic()))
        except Exception as error:
            self._error = error
            self._ending.set()

    def _prefix(self, observed_at: float) -> Array | None:
        if self._past_steps is None:
            return None
        with self._lock:
            ahead = math.ceil(self.latency_s / self.executor.step_s)
            return self.executor.prefix(observed_at, self._past_steps, ahead)
