"""Headstart's exported policies for LeRobot, which imports this package because of its name."""

from lerobot_policy_headstart.configuration_headstart import HeadstartConfig
from lerobot_policy_headstart.modeling_headstart import HeadstartPolicy
from lerobot_policy_headstart.processor_headstart import (
    JoinObservation,
    OrderAction,
    make_headstart_pre_post_processors,
)

__all__ = ["HeadstartConfig", "HeadstartPolicy", "JoinObservation", "OrderAction", "make_headstart_pre_post_processors"]
