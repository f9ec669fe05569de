"""What is kept of the first rollouts for people: videos, a recording for the Rerun viewer, a file for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigError
from trainer.evaluation.rollouts_file import RolloutsFile
from trainer.evaluation.video import VideoFolder
from trainer.simulation.expert_attempt import attempt_of_expert
from trainer.simulation.rollout import Rollout
from trainer.simulation.task import ONLOOKER, Task
from trainer.simulation.watched_episode import Onlooker

if TYPE_CHECKING:
    from trainer.evaluation.rollout_recording import RolloutRecording

KEPT = 4
"""Rollouts of which something is kept, the first ones."""


@dataclass(frozen=True)
class Keep:
    """What is asked for; nothing by default.

    Attributes:
        video: folder for videos.
        record: file for a recording, for the Rerun viewer.
        player: file of rollouts, for the player of the service's page.
    """

    video: Path | None = None
    record: Path | None = None
    player: Path | None = None


KEEP_NOTHING = Keep()


class KeptRollouts:
    """Keeps what is asked for. Close it at the end, however that comes.

    Attributes:
        seeds: of the rollouts that it has to see; none if nothing is asked for.
    """

    def __init__(self, asked: Keep, task: Task, seeds: Sequence[int], policy: Mapping[str, Any]) -> None:
        """`policy` says whose rollouts they are. Raises ConfigError where something can't be kept."""
        self._task = task
        self.seeds = frozenset(() if asked == KEEP_NOTHING else seeds[:KEPT])
        self._video = None if asked.video is None else _videos(asked.video, task, self.seeds)
        self._recording = None if asked.record is None else _recording(asked.record, task, self.seeds)
        self._file = None if asked.player is None else RolloutsFile(asked.player, task, policy)
        self._ended: list[Rollout] = []

    @property
    def onlooker(self) -> Onlooker | None:
        """Who is shown pictures."""
        return self._video or (self._recording if ONLOOKER in self._task.cameras else None)

    @property
    def followed(self) -> frozenset[int]:
        """Seeds of which it has to be known where arm and objects are."""
        return self.seeds if self._file is not None else frozenset()

    def add(self, result: Rollout) -> None:
        """A rollout that has ended."""
        if result.seed not in self.seeds:
            return
        if self._video is not None:
            self._video.finish(result.seed)
        if self._recording is not None:
            self._recording.add(result)
        self._ended.append(result)

    def write(self) -> None:
        """Writes the file for the page, once all have ended: the expert shows what it does from the same beginnings."""
        if self._file is None:
            return
        for result in self._ended:
            self._file.add(result, attempt_of_expert(self._task, result.seed))
        self._file.write()

    def close(self) -> None:
        """Closes files; forgets videos of rollouts that have not ended."""
        if self._video is not None:
            self._video.discard()
        if self._recording is not None:
            self._recording.close()


def _videos(folder: Path, task: Task, seeds: frozenset[int]) -> VideoFolder:
    if ONLOOKER not in task.cameras:
        raise ConfigError(
            f"--video: task '{task.name}' has no camera '{ONLOOKER}', which videos are of; a Gymnasium environment has "
            'it with render_mode = "rgb_array"'
        )
    return VideoFolder(folder, task.name, seeds, task.rate_hz)


def _recording(file: Path, task: Task, seeds: frozenset[int]) -> "RolloutRecording":
    try:
        from trainer.evaluation.rollout_recording import RolloutRecording
    except ModuleNotFoundError as error:
        raise ConfigError(f"--record: {error}") from None
    return RolloutRecording(file, seeds, task.rate_hz)
