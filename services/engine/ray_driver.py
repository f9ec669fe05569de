"""The process that speaks with Ray: embedded in it by default, or in the cluster that RAY_ADDRESS names.

A process of its own, because Ray's library ends the process it is in when it loses its head, and because its threads
and its memory are no business of the API's.
"""

import os
import queue
import secrets
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from services.engine.engine import ShardTask, make_shard_alone
from services.engine.lost_machines import LostMachines
from services.engine.process_tree import ProcessTree
from services.engine.ray_node import ensure_node
from services.engine.worker import ignore_interrupts
from shared.errors import EngineError, HeadstartError
from shared.storage import Location, open_storage

# Shards go to disk, never through the object store: Ray's least is plenty.
_OBJECT_STORE_BYTES = 200_000_000
_PROBE_S = 30.0
_COUNT_EVERY_S = 5.0
_LOOK_EVERY_S = 2.0
_HEAD_GONE_S = 5
"""Without its head for so long, Ray's processes give up. They are then started or joined anew."""


def drive(connection: Connection, wanted: int | None) -> None:
    """Runs in the process, until it is told to end or the other side is gone.

    It is sent ("make", run, task, root), ("drop", run), ("end",) to leave a cluster, and sends ("ready", workers) or
    ("failed", why) once; then, in any order, ("made", run, task, commit, workers), ("raised", run, task, error),
    ("lost", run, task, why) and ("dropped", run). Runs are numbers, tasks ShardTasks.
    """
    ignore_interrupts()
    try:
        driver = _Driver(wanted)
    except EngineError as error:
        connection.send(("failed", str(error)))
        return
    connection.send(("ready", driver.workers))
    threading.Thread(target=_listen, args=(connection, driver), daemon=True).start()
    while True:
        driver.look()
        try:
            name, *arguments = driver.inbox.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            continue
        if name == "end":
            # Without waiting for what was dropped before: that ends with the driver.
            driver.ray.shutdown()
            # Nothing is left to be tidied up, which takes an interpreter of this size half a second.
            os._exit(0)
        for answer in getattr(driver, name)(*arguments):
            connection.send(answer)


def _listen(connection: Connection, driver: "_Driver") -> None:
    while True:
        try:
            driver.inbox.put(connection.recv())
        except (EOFError, OSError):
            # The service was killed. An embedded Ray ends with this process, the shards in the making too.
            if not driver.joined:
                ProcessTree().kill()
            os._exit(1)


class _Driver:
    """Ray's driver: what it is sent is a method's name and arguments, what the method returns is sent back."""

    def __init__(self, wanted: int | None) -> None:
        """Starts or joins Ray, which takes 3 to 7 s. Raises EngineError saying how to go on without it."""
        address = os.environ.get("RAY_ADDRESS", "")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(_HEAD_GONE_S))
        if address:
            _probe(address)
        else:
            _guard_embedded()
        import ray  # takes up to 3 s

        self.ray: Any = ray
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.workers = wanted or len(os.sched_getaffinity(0))
        self._counts = bool(address) and wanted is None
        self._counted_at = float("-inf")
        self.joined = bool(address)
        self._seen: set[str] = set()
        self._running: dict[tuple[int, ShardTask], Any] = {}
        self._leaving: dict[int, set[Any]] = {}
        self._lost_machines, self._looked_at = LostMachines(), float("-inf")
        try:
            if address:
                ensure_node(address)
            ray.init(**_arguments(address, self.workers))
        except Exception as error:  # Ray raises what it likes here: TimeoutError, ConnectionError, RaySystemError
            raise EngineError(not_joined(address, error)) from error
        self._node = ray.get_runtime_context().get_node_id()
        self._count()
        # Deaths are counted by who sends the plans, and each is a new try.
        self._task = ray.remote(make_shard_alone).options(num_cpus=1, max_retries=0, name="make_shard")

    def make(self, run: int, task: ShardTask, root: Location) -> list[Any]:
        """Has a shard made; `done` follows."""
        if self.joined and str(root) not in self._seen:
            hidden = self._nodes_without(root)
            if hidden:
                return [("raised", run, task, hidden)]
            self._seen.add(str(root))
        reference = self._running[run, task] = self._task.remote(task, root)
        reference.future().add_done_callback(lambda _: self.inbox.put(("done", run, task, reference)))
        return []

    def done(self, run: int, task: ShardTask, reference: Any) -> list[Any]:
        """What became of a shard. Of one that was dropped, only whether it was the last of its run."""
        leaving = self._leaving.get(run, set())
        if reference in leaving:
            leaving.remove(reference)
            return [] if leaving else self._dropped(run)
        if self._running.get((run, task)) is not reference:
            return []
        del self._running[run, task]
        errors = self.ray.exceptions
        try:
            commit = self.ray.get(reference)
        except errors.RayTaskError as error:
            cause = error.cause
            if not isinstance(cause, (HeadstartError, OSError)):
                # make_shard raises nothing else, so it did not even begin.
                cause = EngineError(
                    f"shard {task.index}: {type(cause).__name__}: {cause}; is the same release of Headstart installed "
                    "on every machine of the Ray cluster?"
                )
            return [("raised", run, task, cause)]
        except errors.LocalRayletDiedError:
            # What connects this process with Ray is gone, and nothing but a new process gets it back.
            os._exit(1)
        except errors.RayError as error:
            return [("lost", run, task, str(error).splitlines()[0])]
        self._count()
        return [("made", run, task, commit, self.workers)]

    def drop(self, run: int) -> list[Any]:
        """Ends a run's tasks with their workers (a soft cancellation waits for native calls): none commits later.

        That it is done is said when the last of them has ended.
        """
        self._leaving[run] = {self._running.pop(key) for key in list(self._running) if key[0] == run}
        for reference in self._leaving[run]:
            self.ray.cancel(reference, force=True)
        return [] if self._leaving[run] else self._dropped(run)

    def _dropped(self, run: int) -> list[Any]:
        del self._leaving[run]
        return [("dropped", run)]

    def look(self) -> None:
        """Every _LOOK_EVERY_S: ends the process if what it runs would be waited for without end.

        That is so if its node is not one of the cluster's, when another head has taken the place of the one that was
        joined sooner than Ray notices, and if another machine has gone without a word.
        """
        now, nodes = time.monotonic(), set[str]()
        if now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        if self._running:
            try:
                nodes = {node["NodeID"] for node in self.ray.nodes() if node["Alive"]}
            except Exception:  # its head does not answer; Ray does not say what it raises then
                os._exit(1)
            if self._node not in nodes:
                os._exit(1)
        if self._lost_machines.hold_up(nodes, self._running, now):
            os._exit(1)

    def _count(self) -> None:
        """Workers of a cluster come and go."""
        if self._counts and time.monotonic() - self._counted_at > _COUNT_EVERY_S:
            self._counted_at = time.monotonic()
            self.workers = max(1, int(self.ray.cluster_resources().get("CPU", 1)))

    def _nodes_without(self, root: Location) -> EngineError | None:
        """An error that names the cluster's machines that don't see the dataset."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        task, asked = self.ray.remote(sees), {}
        for node in self.ray.nodes():
            if node["Alive"] and node["Resources"].get("CPU"):
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                reference = task.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(root)
                asked[reference] = node["NodeManagerAddress"]
        answered, _ = self.ray.wait(list(asked), num_returns=len(asked), timeout=_PROBE_S)
        hidden = []
        for reference in answered:
            try:
                if not self.ray.get(reference):
                    hidden.append(asked[reference])
            except self.ray.exceptions.RayError:
                # A machine that has gone, or has no such release: its shards will say so.
                continue
        if not hidden:
            return None
        return EngineError(
            f"{root} is not there on {', '.join(sorted(hidden))}: mount the data folder at the same path on every "
            "machine of the Ray cluster, or keep it in an object store"
        )


def not_joined(address: str, error: Exception) -> str:
    """Why Ray was not joined or started, in words: what it says, what may be the cause, and how to go on without it."""
    where = f"Ray at {address} could not be joined" if address else "Ray could not be started"
    said = str(error).strip().splitlines() or [type(error).__name__]
    # What is started in here has this process's key. A cluster with another one refuses, or does not answer.
    words = f"{type(error).__name__} {error}".lower()
    refused = any(word in words for word in ("auth", "token", "timeout", "timed out", "failed to connect"))
    keys = "; are RAY_AUTH_MODE and the token the same on both sides?" if address and refused else ""
    return f"{where}: {said[0]}{keys or ';'} `--engine process` needs no Ray"


def sees(root: Location) -> bool:
    """Runs on each machine of a cluster: whether the dataset is there."""
    return open_storage(root).read("dataset.json") is not None


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
    # Ray's 15 leaves its workers a thirtieth of a busy core: whoever reads along would hold up what is read.
    os.environ.setdefault("RAY_worker_niceness", "0")


def _arguments(address: str, workers: int) -> dict[str, Any]:
    """The arguments of ray.init."""
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
