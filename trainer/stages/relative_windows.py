"""Demonstrations' windows relative to what was observed of the arm at their current step."""

import numpy as np
import torch
from numpy.typing import NDArray

from shared.errors import ConfigError
from trainer.config import HeadConfig
from trainer.data.action import GRIPPER, POSITION
from trainer.data.demonstrations.episode import Demonstrations, Episode, joined_observations
from trainer.data.normalization import ActionNormalizer
from trainer.data.relative_actions import relative, with_range

_SAME = 1e-6
"""How far an observation may be from a state that it is, in metres, radians and rotation_6d."""


def observed_states(demonstrations: Demonstrations, episode: Episode) -> NDArray[np.float32]:
    """What was observed of the arm before each action: the tool's pose (T, 9), or its joints (T, dof).

    Raises ConfigError where nothing was.
    """
    states = episode.tool if demonstrations.action_space == "ee_pose" else episode.joints
    if states is None:
        wanted = "position and rotation" if demonstrations.action_space == "ee_pose" else "joint_position"
        raise ConfigError(
            f"relative_actions are relative to what is observed of the arm, which {episode.name} of "
            f"{demonstrations.task} does not tell; say it with [state] {wanted} in the mapping"
        )
    return states


def normalizer_for(normalizer: ActionNormalizer, demonstrations: Demonstrations, head: HeadConfig) -> ActionNormalizer:
    """The normalizer of the head's actions; of relative ones with Stage 1's range, or that of the demonstrations.

    Raises ConfigError as `observed_states`.
    """
    if not head.relative_actions:
        return normalizer

    def distances() -> NDArray[np.float64]:
        parts = POSITION if head.action == "ee_pose" else slice(0, GRIPPER)
        made = []
        for episode in demonstrations.episodes:
            state = observed_states(demonstrations, episode)
            of_state = state[:, POSITION] if head.action == "ee_pose" else state
            made.append(_windows(episode.actions, head)[..., parts] - of_state[:, None])
        return np.concatenate([one.reshape(-1, one.shape[-1]) for one in made]).astype(np.float64)

    ranges = with_range(normalizer.to_json(), head, distances)
    return ActionNormalizer(ranges, head.action).of_relative()


def actions_of(demonstrations: Demonstrations, episode: Episode, head: HeadConfig) -> NDArray[np.float32]:
    """An episode's actions as its head sees them: each, or those of every window relative to its state."""
    if not head.relative_actions:
        return episode.actions
    windows, state = (
        torch.from_numpy(one) for one in (_windows(episode.actions, head), observed_states(demonstrations, episode))
    )
    return relative(windows, state, head.action).numpy()


def state_columns(demonstrations: Demonstrations) -> list[int] | None:
    """Which numbers of a joined observation are the state, so that a policy can read it; None where they are not seen.

    A state's parts must be there as they are, each side by side, and at one place alone: a position and a rotation_6d,
    or joints.
    """
    seen = np.concatenate([joined_observations(demonstrations, episode) for episode in demonstrations.episodes])
    states = np.concatenate([observed_states(demonstrations, episode) for episode in demonstrations.episodes])
    pose = demonstrations.action_space == "ee_pose"
    found = list[int]()
    for part in np.split(states, [3], axis=1) if pose else [states]:
        width = part.shape[1]
        begins = range(seen.shape[1] - width + 1)
        same = [begin for begin in begins if np.abs(seen[:, begin : begin + width] - part).max() <= _SAME]
        if len(same) != 1:
            return None
        found += range(same[0], same[0] + width)
    return found


def _windows(actions: NDArray[np.float32], head: HeadConfig) -> NDArray[np.float32]:
    """The window that is acted on at every step, (T, horizon, action_dim)."""
    at = np.arange(len(actions))[:, None] + np.arange(head.horizon) - (head.n_obs_steps - 1)
    windows: NDArray[np.float32] = actions[np.clip(at, 0, len(actions) - 1)]
    return windows
