"""One policy of a server: what it says of itself, and its answers to messages."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trainer.deployment.policy import Policy
from trainer.deployment.serving.ensemble import TemporalEnsemble
from trainer.deployment.serving.messages import most_bytes, read_map, write_actions
from trainer.deployment.serving.openpi import OpenpiKeys, read_keys, read_observation, write_answer
from trainer.deployment.serving.problems import ProblemError


class ServedPolicy:
    """Answers messages with one policy. Not for several threads at once: the sessions' chunks have no lock.

    Attributes:
        name: that messages choose it by.
        most_bytes: of a message.
    """

    def __init__(
        self, name: str, policy: Policy, *, robots: int, decay: float | None, openpi_keys: OpenpiKeys | None = None
    ) -> None:
        """Takes a policy.

        Args:
            name: that messages choose it by.
            policy: that answers.
            robots: most of them in a message.
            decay: of the ensemble; None is no ensembling.
            openpi_keys: what openpi's clients call that which the policy sees; None is as the policy does.
        """
        self.name = name
        self._policy, self._robots = policy, robots
        self._openpi_keys = openpi_keys or read_keys(None, policy.info)
        self._ensemble = None if decay is None else TemporalEnsemble(decay, policy.info.head.action)
        self.most_bytes = most_bytes(policy.info, robots)

    def describe(self) -> dict[str, Any]:
        """What the policy sees and answers."""
        info, policy = self._policy.info, self._policy
        return {
            "name": self.name,
            "robot": info.robot,
            "task": info.task,
            "rate_hz": info.rate_hz,
            "action": info.head.action,
            "action_label": info.action_label,
            "relative_actions": info.head.relative_actions,
            "needs_state": info.needs_state,
            "action_dim": info.normalizer.action_dim,
            "n_obs_steps": policy.n_obs_steps,
            "n_picture_steps": policy.n_picture_steps,
            "n_action_steps": policy.n_action_steps,
            "prediction_type": info.head.prediction_type,
            "sampling_steps": policy.sampling_steps,
            "directions": policy.directions,
            "backbone": info.backbone,
            "most_action_steps": info.head.longest_answer,
            "most_prefix_steps": info.head.horizon,
            "observations": info.observation_widths,
            "cameras": {name: asdict(camera)["size"] for name, camera in info.cameras.items()},
            "ensembles": self._ensemble is not None,
            "most_robots": self._robots,
            "most_bytes": self.most_bytes,
        }

    def actions(self, message: Mapping[str, Any]) -> bytes:
        """The answer to an unpacked message. Raises HeadstartError where it has none."""
        asked = read_map(message, self._policy.info, self._robots)
        if asked.sessions is not None and self._ensemble is None:
            raise ProblemError(
                422, "this server does not ensemble; leave out sessions and steps, or start it with --ensemble"
            )
        chunks = self._policy.predict(asked.low_dim, asked.pictures, asked.prefix, asked.state)
        if asked.sessions is not None and self._ensemble is not None:
            for index, (session, step) in enumerate(zip(asked.sessions, asked.steps, strict=True)):
                chunks[index] = self._ensemble(session, step, chunks[index])
        return write_actions(chunks[:, : asked.n_action_steps], self._policy.info.rate_hz)

    def openpi_actions(self, message: Mapping[Any, Any]) -> bytes:
        """The answer to an unpacked message of openpi's. Raises HeadstartError where it has none."""
        began = time.perf_counter()
        asked = read_observation(message, self._policy.info, self._openpi_keys)
        (chunk,) = self._policy.predict(*asked[:4])[:, : asked.n_action_steps]
        return write_answer(chunk, self._policy.info.rate_hz, 1000 * (time.perf_counter() - began))
