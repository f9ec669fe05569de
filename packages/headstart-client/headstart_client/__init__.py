"""What a robot's or a notebook's own program needs of Headstart.

An executor of a policy's chunks, the clients of policy servers and of the trajectory service, and datasets as rows.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart_client.checks import ChunkChecks
    from headstart_client.errors import HeadstartError, ServiceError
    from headstart_client.events import Command, Event
    from headstart_client.executor import Executor
    from headstart_client.generation import generate, open_trajectories
    from headstart_client.limits import ArmLimits
    from headstart_client.policy_client import PolicyClient, PolicyError
    from headstart_client.runner import Runner
    from headstart_client.service.client import Client
    from headstart_client.trajectories import Trajectories

_HOMES = {
    "ArmLimits": "limits",
    "ChunkChecks": "checks",
    "Client": "service.client",
    "Command": "events",
    "Event": "events",
    "Executor": "executor",
    "HeadstartError": "errors",
    "PolicyClient": "policy_client",
    "PolicyError": "policy_client",
    "Runner": "runner",
    "ServiceError": "errors",
    "Trajectories": "trajectories",
    "generate": "generation",
    "open_trajectories": "generation",
}
"""Each is imported when it is first asked for: an arm needs no pyarrow, a service that reads datasets no Ruckig."""

__all__ = [
    "ArmLimits",
    "ChunkChecks",
    "Client",
    "Command",
    "Event",
    "Executor",
    "HeadstartError",
    "PolicyClient",
    "PolicyError",
    "Runner",
    "ServiceError",
    "Trajectories",
    "generate",
    "open_trajectories",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
