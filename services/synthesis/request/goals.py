"""How much of a pose is to be reached."""

from typing import Literal, get_args

Goal = Literal["pose", "position", "position_axis"]
"""All of it, its position alone, or its position and the direction of the tool's z axis."""
GOALS: tuple[Goal, ...] = get_args(Goal)
