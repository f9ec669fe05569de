"""What a robot's own program needs of Headstart: carrying out a policy's chunks within the arm's limits."""

from headstart_client.checks import ChunkChecks
from headstart_client.events import Command, Event
from headstart_client.executor import Executor
from headstart_client.limits import ArmLimits

__all__ = ["ArmLimits", "ChunkChecks", "Command", "Event", "Executor"]
