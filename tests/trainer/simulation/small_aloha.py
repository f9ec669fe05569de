"""gym-aloha, registered as by itself, but with one small picture a step in place of three of 480 x 640."""

from typing import Any

import gym_aloha  # noqa: F401
from gym_aloha.tasks.sim import BimanualViperXTask


def _observation(self: Any, physics: Any) -> dict[str, Any]:
    top = physics.render(height=48, width=64, camera_id="top")
    return {"qpos": self.get_qpos(physics), "images": {"top": top}}


BimanualViperXTask.get_observation = _observation
