"""Several sets of demonstrations as one, from which windows are drawn by each set's share."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from shared.errors import ConfigError
from trainer.data.demonstrations.episode import Demonstrations, DemonstrationSet, Episode
from trainer.data.resampling import resample
from trainer.data.shares import shares_of


def join(
    paths: Sequence[Path],
    sets: Sequence[Demonstrations],
    weights: Sequence[float] | None = None,
    rate_hz: float | None = None,
) -> tuple[Demonstrations, list[str]]:
    """One set of demonstrations out of several; of one alone, itself.

    Columns and cameras are taken for the same where they stand at the same place of the observation: the joined set
    has the first one's names.

    Args:
        paths: where each was read.
        sets: the demonstrations, each with its own held-out episodes.
        weights: of each; its share of the windows is as its weight. Equal without.
        rate_hz: that all are resampled to; None leaves them as they are.

    Returns:
        The joined set, and what a user should know of it.

    Raises:
        ConfigError: there is not one weight above 0 for each set, one is there twice, one has nothing to train on, or
            two can't be learned by one policy; says which and why.
    """
    shares = shares_of(weights, len(sets))
    for place, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:place]]:
            raise ConfigError(f"{path} is given twice; give it once, with the weight that it shall have")
    if len(sets) == 1:
        return sets[0], []
    if rate_hz is not None:
        sets = [one if one.rate_hz == rate_hz else resample(one, rate_hz) for one in sets]
    first, said = sets[0], list[str]()
    for path, other in zip(paths, sets, strict=True):
        _check(f"{paths[0]}", first, f"{path}", other)
        if all(episode.validation for episode in other.episodes):
            raise ConfigError(f"every demonstration of {path} is held out, so it has no share; add to it, or leave it")
        said += _renamed(f"{paths[0]}", first, f"{path}", other)
    tasks = list(dict.fromkeys(one.task for one in sets))
    drawn = [one.drawn for one in sets if one.drawn is not None]
    joined = replace(
        first,
        task=" + ".join(tasks),
        episodes=tuple(chain.from_iterable(_as_first(one, number, first) for number, one in enumerate(sets))),
        failed=tuple(chain.from_iterable(one.failed for one in sets)),
        # Their poses are of different things.
        objects=(),
        drawn=sum(drawn) if len(drawn) == len(sets) else None,
        sets=tuple(
            DemonstrationSet(str(path), one.task, share) for path, one, share in zip(paths, sets, shares, strict=True)
        ),
    )
    return joined, said


def _check(a: str, first: Demonstrations, b: str, other: Demonstrations) -> None:
    """Raises ConfigError where one policy can't learn from both, saying what differs."""
    different = {
        "robot": (first.robot, other.robot, "one policy moves one robot"),
        "action space": (first.action_space, other.action_space, "set action.space alike in their mappings"),
        "action label": (first.action_label, other.action_label, "set action.label alike in their mappings"),
        "rate in Hz": (first.rate_hz, other.rate_hz, "pass --resample with --stage1, or record at one rate"),
        "observation widths": (
            list(first.observation_widths.values()),
            list(other.observation_widths.values()),
            "choose columns of the same widths in the same order, with observation.low_dim in their mappings",
        ),
        "pictures": (
            list(first.cameras.values()),
            list(other.cameras.values()),
            "choose as many cameras in the same order, and one observation.image_size, in their mappings",
        ),
    }
    for what, (ours, theirs, mend) in different.items():
        if ours != theirs:
            raise ConfigError(f"{a} and {b} can't be joined: {what} {ours} and {theirs}; {mend}")
    widths = {len(one.episodes[0].actions[0]) for one in (first, other)}
    if len(widths) > 1:
        raise ConfigError(f"{a} and {b} can't be joined: actions of {sorted(widths)} numbers; they are of other joints")


def _renamed(a: str, first: Demonstrations, b: str, other: Demonstrations) -> list[str]:
    pairs = [
        *zip(first.observation_widths, other.observation_widths, strict=True),
        *zip(first.cameras, other.cameras, strict=True),
    ]
    return [f"{theirs} of {b} is taken for {ours} of {a}" for ours, theirs in pairs if ours != theirs]


def _as_first(one: Demonstrations, number: int, first: Demonstrations) -> list[Episode]:
    """The episodes of a set, with the first one's names of what is seen."""
    keys = dict(zip(one.observation_widths, first.observation_widths, strict=True))
    cameras = dict(zip(one.cameras, first.cameras, strict=True))
    return [
        replace(
            episode,
            observations={ours: episode.observations[theirs] for theirs, ours in keys.items()},
            images={ours: episode.images[theirs] for theirs, ours in cameras.items()},
            set_number=number,
        )
        for episode in one.episodes
    ]
