"""Observations of copies: computed from rows, by what was found of the demonstrations'."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.demonstrated_motions import DemonstratedMotions
from shared.errors import ConfigError
from trainer.data.copies.rows import copied_columns, copied_rows
from trainer.data.copies.scene import CopiedRow, SceneOfCopies
from trainer.data.copies.terms import Term, features_of, find_terms
from trainer.data.demonstrations.episode import Demonstrations

FloatArray = NDArray[np.float64]

_log = logging.getLogger(__name__)


class CopiedObservations:
    """Turns rows of copies into observations as the demonstrations have them.

    Attributes:
        terms: what each part of an observation is.
        columns: of the record that they are computed from.
    """

    def __init__(self, motions: DemonstratedMotions, demonstrations: Demonstrations) -> None:
        """Finds what the observations are. Raises ConfigError where they are not all told by kinematics."""
        by_name = {episode.name: episode for episode in demonstrations.episodes}
        missing = [motion.name for motion in motions.motions if motion.name not in by_name]
        if missing:
            raise ConfigError(
                f"the copies are of demonstrations that are not among these, such as {missing[0]}; adapt to the "
                "demonstrations that the motions were taken from (the same --count and --draw)"
            )
        self._scenes = SceneOfCopies(motions)
        episodes = [by_name[motion.name] for motion in motions.motions]
        self._keys = demonstrations.observation_widths
        self._recorded = [
            {key: episode.observations[key].astype(np.float64) for key in self._keys} for episode in episodes
        ]
        for motion, episode in zip(motions.motions, episodes, strict=True):
            if motion.steps != len(episode.actions):
                raise ConfigError(
                    f"{motion.name} has {len(episode.actions)} steps, in the motions file {motion.steps}; these are "
                    "other demonstrations, or they were resampled: take the motions out of them again"
                )
        objects = [thing.name for thing in motions.objects]
        self._names = ["tool", *objects]
        self.terms, unknown = find_terms(
            {key: [one[key] for one in self._recorded] for key in self._keys},
            [self._scenes.demonstrated(place) for place in range(len(episodes))],
            [motion.gripper for motion in motions.motions],
            self._names,
        )
        used = {name for term in self.terms for name in term.features}
        self._features = {name: feature for name, feature in features_of(self._names).items() if name in used}
        if unknown:
            raise ConfigError(
                f"kinematics can't tell what would be observed in copies of {', '.join(unknown)}; leave these out of "
                "what the policy sees, or train it on copies in Stage 1 alone (pretrain --condition objects)"
            )
        self.columns = copied_columns(objects)
        lag = self._scenes.lag
        _log.info(
            "copies: the arm follows its commands as a system of %.1f rad/s, damping %.2f, delay %d steps",
            lag.frequency, lag.damping, lag.delay,
        )  # fmt: skip

    def of_rows(self, rows: pa.Table) -> NDArray[np.float32]:
        """Observations (steps, obs_dim) of all steps of some rows."""
        return np.concatenate([self._of_row(row) for row in copied_rows(rows, self._names[1:])]).astype(np.float32)

    def _of_row(self, row: CopiedRow) -> FloatArray:
        scene = self._scenes.copied(row)
        features = {name: feature(scene) for name, feature in self._features.items()}
        recorded = self._recorded[row.source]
        parts: dict[str, list[FloatArray]] = {key: [] for key in self._keys}
        for term in self.terms:
            parts[term.key].append(_value(term, features, recorded, row.source_time))
        return np.concatenate([part for key in self._keys for part in parts[key]], axis=1)

    def describe(self) -> list[str]:
        """What was found, a line for each key."""
        lines = []
        for key in self._keys:
            of = [" and ".join(term.features) for term in self.terms if term.key == key]
            lines.append(f"{key}: {', '.join(dict.fromkeys(of))}")
        return lines


def _value(
    term: Term, features: Mapping[str, FloatArray], recorded: Mapping[str, FloatArray], time: FloatArray
) -> FloatArray:
    """(T, width) of a term."""
    if term.matrix is None or term.offset is None:
        values = recorded[term.key][:, term.first : term.end]
        steps: Sequence[int] = range(len(values))
        return np.stack([np.interp(time, steps, values[:, c]) for c in range(values.shape[1])], axis=1)
    joined = np.concatenate([features[name] for name in term.features], axis=1)
    return np.asarray(joined @ term.matrix.T + term.offset)
