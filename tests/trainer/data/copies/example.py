"""Copies of a few made-up demonstrations."""

from dataclasses import replace
from pathlib import Path

from services.engine import InlineEngine
from services.jobs import generate
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from tests.stacking import demonstrations, motions

RANGE = {"position": {"min": [0.2, -0.5, -0.3], "max": [0.9, 0.5, 0.4]}}
COUNT = 4
MOTIONS = motions(COUNT)
# As the simulator's: some of those read are held out, and no copies are made of them.
DEMONSTRATIONS = replace(
    demonstrations(COUNT + 2),
    episodes=tuple(
        replace(episode, validation=index >= COUNT) for index, episode in enumerate(demonstrations(COUNT + 2).episodes)
    ),
    drawn=COUNT,
)


def request(count: int = 24) -> TrajectoryRequest:
    workspace = {"kind": "objects", "motions": MOTIONS.content_sha256}
    body = {"robot": "panda", "count": count, "shard_rows": 8, "workspace": workspace}
    return TrajectoryRequest.parse(body, motions={MOTIONS.content_sha256: MOTIONS}.get)


def make_copies(folder: Path) -> Dataset:
    """A whole dataset of copies."""
    return generate(request(), folder, InlineEngine())
