"""Temporal ensembling: what successive chunks say of the same control step, averaged."""

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from shared.rotation import matrix_to_rot6d, rot6d_to_matrix
from trainer.config import ActionName
from trainer.data.action import ROTATION

_MOST_SESSIONS = 1000

Actions = NDArray[np.float32]


class TemporalEnsemble:
    """Weighs the chunks that cover a control step by exp(-decay * age), age 0 being the oldest of them.

    Source: "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware" (Zhao et al. 2023), where decay is
    0.01. Rotations are made rotations again after averaging. Beyond a thousand sessions, those not heard of for longest
    are forgotten.
    """

    def __init__(self, decay: float, action: ActionName) -> None:
        self._decay, self._action = decay, action
        # Of each session, the control step and the chunk of each of its calls, oldest first.
        self._chunks: OrderedDict[str, list[tuple[int, Actions]]] = OrderedDict()

    def __call__(self, session: str, step: int, chunk: Actions) -> Actions:
        """What all of the session's chunks say of the steps of the latest, (steps, action_dim).

        Args:
            session: name of a robot.
            step: control steps since its episode began. An earlier one than before begins an episode; the same one
                again replaces its chunk.
            chunk: predicted at that step, its first action to be executed now.
        """
        known = self._chunks.pop(session, [])
        if known and step < known[-1][0]:
            known = []
        kept = [(at, earlier) for at, earlier in known if step - len(chunk) < at < step]
        kept.append((step, chunk.copy()))
        self._chunks[session] = kept
        while len(self._chunks) > _MOST_SESSIONS:
            self._chunks.popitem(last=False)
        return self._averaged(kept, len(chunk))

    def _averaged(self, chunks: list[tuple[int, Actions]], length: int) -> Actions:
        now = chunks[-1][0]
        total = np.zeros((length, chunks[-1][1].shape[1]))
        weights, age = np.zeros(length), np.zeros(length)
        for at, chunk in chunks:
            covered = len(chunk) - (now - at)
            weight = np.exp(-self._decay * age[:covered])
            total[:covered] += weight[:, None] * chunk[now - at :]
            weights[:covered] += weight
            age[:covered] += 1
        mean = total / weights[:, None]
        if self._action == "ee_pose":
            mean[:, ROTATION] = matrix_to_rot6d(rot6d_to_matrix(mean[:, ROTATION]))
        return mean.astype(np.float32)
