"""Bodies of motions files."""

import numpy as np
from pydantic import BaseModel

from services.api.schemas.fields import field
from shared.demonstrated_motions import DemonstratedMotions

_SHA256 = "9f0d2c41a6b1e0a5a1c8f3a0f0a7d5b2f6c3b1d4e8a9c0b7d6e5f4a3b2c1d0e9"
_SPAN = {"min": [0.4, -0.1, 0.02], "max": [0.6, 0.1, 0.02]}


class SpanBody(BaseModel):
    """Where an object lay when the demonstrations began, in the base frame."""

    min: list[float] = field("least x, y and z of its origin", _SPAN["min"], "m")
    max: list[float] = field("greatest x, y and z of its origin", _SPAN["max"], "m")


class MotionsBody(BaseModel):
    """The motions of demonstrations."""

    sha256: str = field("of the content; what requests name them by", _SHA256)
    task: str = field("name of the task that was demonstrated", "lift")
    robot: str = field("name of the robot that made them", "panda")
    rate_hz: float = field("control rate", 20.0, "Hz")
    motions: int = field("demonstrations", 200, "count")
    objects: list[str] = field("what the task is about", ["cube"])
    spans: dict[str, SpanBody] = field("where they lay at the start, by their names", {"cube": _SPAN}, "m")
    links: dict[str, str] = field("path of the file on this service", {"self": f"/v1/motions/{_SHA256}"})

    @classmethod
    def of(cls, motions: DemonstratedMotions) -> "MotionsBody":
        """Describes motions."""
        return cls(
            sha256=motions.content_sha256,
            task=motions.task,
            robot=motions.robot,
            rate_hz=motions.rate_hz,
            motions=len(motions.motions),
            objects=[thing.name for thing in motions.objects],
            spans={thing.name: _span(motions, index) for index, thing in enumerate(motions.objects)},
            links={"self": f"/v1/motions/{motions.content_sha256}"},
        )


def _span(motions: DemonstratedMotions, index: int) -> SpanBody:
    begun = np.array([motion.objects[index].position[0] for motion in motions.motions])
    low, high = (np.round(corner, 7).tolist() for corner in (begun.min(0), begun.max(0)))
    return SpanBody(min=low, max=high)


class MotionsListBody(BaseModel):
    """The motions files that were uploaded."""

    motions: list[MotionsBody] = field("the files, each as MotionsBody has it", [], "mixed")
