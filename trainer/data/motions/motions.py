"""Motions from demonstrations and their segments."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shared.demonstrated_motions import DemonstratedMotion, DemonstratedMotions, MovedObject, Poses, check_held
from shared.errors import DemonstrationError, MotionsError
from trainer.data.demonstrations.episode import Demonstrations, Episode
from trainer.data.motions.segment_proposal import Proposal, propose


def proposed_motions(demonstrations: Demonstrations, path: str) -> DemonstratedMotions:
    """The motions of demonstrations, with the segments that are proposed for them (`propose`).

    Those that are held out are left out: copies of them would tell training what its error is to be measured on.

    Raises:
        DemonstrationError: their actions are no poses, or their segments can't be told; names the demonstration.
    """
    kept = replace(demonstrations, episodes=tuple(one for one in demonstrations.episodes if not one.validation))
    return demonstrated_motions(kept, *propose(kept, path), path)


def demonstrated_motions(
    demonstrations: Demonstrations, objects: Sequence[MovedObject], proposals: Sequence[Proposal], path: str
) -> DemonstratedMotions:
    """The motions of demonstrations, with these objects and segments.

    Raises:
        DemonstrationError: their actions are no poses, or segments that make no sense; names the demonstration.
    """
    if demonstrations.action_space != "ee_pose":
        raise DemonstrationError(
            f"its actions are '{demonstrations.action_space}'; copies are made of tool poses: map them as 'ee_pose'",
            path,
        )
    by_name = {proposal.name: proposal for proposal in proposals}
    motions = []
    for episode in demonstrations.episodes:
        motion = _motion(episode, by_name[episode.name], objects)
        try:
            check_held(motion)
        except MotionsError as error:
            raise DemonstrationError(str(error), path) from None
        motions.append(motion)
    rate_hz = float(demonstrations.rate_hz)
    return DemonstratedMotions(demonstrations.task, demonstrations.robot, rate_hz, tuple(objects), tuple(motions))


def _motion(episode: Episode, proposal: Proposal, objects: Sequence[MovedObject]) -> DemonstratedMotion:
    commanded = _poses(episode.actions)
    return DemonstratedMotion(
        name=episode.name,
        commanded=commanded,
        reached=commanded if episode.tool is None else _poses(episode.tool),
        gripper=np.clip(episode.actions[:, 9].astype(np.float64), -1, 1),
        objects=tuple(_poses(proposal.objects[thing.name]) for thing in objects),
        segments=proposal.segments,
        held=proposal.held,
    )


def _poses(values: NDArray[np.float32]) -> Poses:
    return Poses(values[:, :3].astype(np.float64), values[:, 3:9].astype(np.float64))
