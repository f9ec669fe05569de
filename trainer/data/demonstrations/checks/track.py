"""An episode to be checked."""

from typing import NamedTuple

from trainer.data.demonstrations.mapping.motion import Motion


class Track(NamedTuple):
    """An episode's name, what was commanded in it, and what was observed."""

    name: str
    commanded: Motion
    observed: Motion
