"""This machine's node of a Ray cluster: what a driver speaks with. Where there is none, one that makes no shards."""

import ctypes
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

_LOOK_S = 1
# Ray's least is 75 MB; shards never go through it.
_OBJECT_STORE_BYTES = 80_000_000
_PR_SET_PDEATHSIG = 1


def ensure_node(address: str) -> None:
    """Starts a node of the cluster at host:port on this machine, unless it has one. It ends with this process.

    Ray's drivers only join through a node beside them, in the same container too. `ray.init` waits for this one.
    """
    host, _, port = address.rpartition(":")
    # Ray's other forms, such as `auto` and ray://, find a node by themselves.
    if not port.isdigit() or "://" in host or _has_node(address):
        return
    command = [str(Path(sysconfig.get_path("scripts")) / "ray"), "start", "--block", "--address", address]
    command += ["--num-cpus", "0", "--object-store-memory", str(_OBJECT_STORE_BYTES), "--disable-usage-stats"]
    nowhere = subprocess.DEVNULL
    subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, preexec_fn=_end_with_parent)


def _has_node(address: str) -> bool:
    """Whether `ray.init` would find one: asked with its own function, as Ray has no public one for it."""
    from ray import _raylet
    from ray._private.services import get_node_to_connect_for_driver

    compiled: Any = _raylet
    try:
        get_node_to_connect_for_driver(compiled.GcsClient(address=address), timeout_seconds=_LOOK_S)
    except RuntimeError:
        return False
    return True


def _end_with_parent() -> None:
    """Runs in the child. `ray start --block` ends what it started when it is ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
