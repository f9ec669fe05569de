"""Shards made by Ray: embedded in this process by default, or in the cluster that RAY_ADDRESS names."""

import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from services.engine.engine import MAX_DEATHS, POLL_S, EngineName, dying_workers, make_shard
from services.synthesis.pipeline import ShardPlan
from shared.errors import EngineError
from shared.manifest import Commit
from shared.storage import Location, absolute

# Shards go to disk, never through the object store: Ray's least is plenty.
_OBJECT_STORE_BYTES = 200_000_000
_FAREWELL_S = 1.5


class RayEngine:
    """The engine of Ray tasks, one for each shard.

    `start` and every run belong on a thread that lives as long as the engine: Ray's own processes are tied to the
    thread that started them.
    """

    name: EngineName = "ray"

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self._wanted = workers
        self._ray: Any = None
        self._task: Any = None
        self._ours = False

    def start(self) -> None:
        """Starts or joins Ray, which takes 3 to 7 s. Raises EngineError saying how to go on without it."""
        if self._task is not None:
            return
        address = os.environ.get("RAY_ADDRESS")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address:
            _probe(address)
        else:
            _guard_embedded()
        import ray  # takes up to 3 s, which the other engines need not wait for

        self._ray = ray
        if not ray.is_initialized():
            try:
                ray.init(**_arguments(address, self.workers))
            except Exception as error:  # Ray raises what it likes here: TimeoutError, ConnectionError, RaySystemError
                where = f"Ray at {address} could not be joined" if address else "Ray could not be started"
                raise EngineError(
                    f"{where}: {str(error).splitlines()[0]}; is RAY_AUTH_MODE the same on both sides? "
                    "`--engine process` needs no Ray"
                ) from error
            self._ours = True
        if address and self._wanted is None:
            self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._task = ray.remote(make_shard).options(num_cpus=1, max_retries=MAX_DEATHS, name="make_shard")

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """See Engine.run_shards."""
        self.start()
        waiting, root = iter(plans), absolute(root)
        running: dict[Any, ShardPlan] = {}
        try:
            while not should_stop():
                for plan in islice(waiting, self.workers - len(running)):
                    running[self._task.remote(plan, root)] = plan
                if not running:
                    return True
                done, _ = self._ray.wait(list(running), num_returns=1, timeout=POLL_S)
                for reference in done:
                    on_commit(self._result(reference, running.pop(reference)))
            return False
        finally:
            self._drop(list(running))

    def close(self) -> None:
        """Leaves Ray, and ends it if this engine started it."""
        if self._ours:
            self._ray.shutdown()
        self._task, self._ours = None, False

    def _result(self, reference: Any, plan: ShardPlan) -> Commit:
        errors = self._ray.exceptions
        try:
            commit = self._ray.get(reference)
        except errors.RayTaskError as error:
            raise error.cause from None
        except (errors.WorkerCrashedError, errors.OutOfMemoryError) as error:
            raise dying_workers(plan) from error
        except errors.RayError as error:
            raise EngineError(f"shard {plan.index}: Ray failed: {str(error).splitlines()[0]}") from error
        assert isinstance(commit, Commit)
        return commit

    def _drop(self, running: list[Any]) -> None:
        """Ends tasks with their workers (a soft cancellation waits for native calls), so that none commits later."""
        for reference in running:
            self._ray.cancel(reference, force=True)
        if running:
            self._ray.wait(running, num_returns=len(running), timeout=_FAREWELL_S)


def _probe(address: str) -> None:
    """Raises EngineError if nothing listens at host:port; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise EngineError(
            f"Ray at {address} could not be joined: {error}; correct RAY_ADDRESS, or unset it to run Ray in here"
        ) from None


def _guard_embedded() -> None:
    """Ray's ports listen on every interface and run what they are sent: each process gets a key of its own."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    keyed = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    if os.environ["RAY_AUTH_MODE"] == "token" and not keyed:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ["OMP_NUM_THREADS"] = "1"


def _arguments(address: str | None, workers: int) -> dict[str, Any]:
    """Of ray.init."""
    common = {"log_to_driver": False, "logging_level": "warning"}
    if address:
        return {"address": address, **common}
    # Ray takes 127.0.0.1 for the machine's outside address, which a laptop loses when it changes networks.
    loopback = {"_node_ip_address": "127.0.0.2"} if sys.platform == "linux" else {}
    return {
        # Without it, ray.init would join any cluster that this user has running.
        "address": "local",
        "num_cpus": workers,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "include_dashboard": False,
        **loopback,
        **common,
    }
