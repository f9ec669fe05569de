"""Videos of rollouts, H.264 in MP4, written while they run."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from trainer.simulation.strip import HEIGHT, WIDTH


class VideoFolder:
    """An `Onlooker` that writes `<task>-<seed>.mp4` of the seeds it watches; a file appears when its rollout ends.

    Attributes:
        size: height and width of the pictures that it asks for; it writes those that come.
    """

    size = (HEIGHT, WIDTH)

    def __init__(self, folder: Path, name: str, seeds: frozenset[int], rate_hz: float) -> None:
        """Raises OSError where the folder can't be made."""
        self._folder, self._name, self._seeds, self._rate_hz = folder, name, seeds, round(rate_hz)
        self._open: dict[int, _Video] = {}
        if seeds:
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, seed: int) -> Path:
        """The path of a rollout's video."""
        return self._folder / f"{self._name}-{seed}.mp4"

    def watches(self, seed: int) -> bool:
        """Whether a video is made of this one."""
        return seed in self._seeds

    def show(self, seed: int, picture: NDArray[np.uint8]) -> None:
        """Its next picture."""
        if seed not in self._open:
            self._open[seed] = _Video(self.path(seed), max(1, self._rate_hz), picture.shape[:2])
        self._open[seed].add(picture)

    def finish(self, seed: int) -> None:
        """Its last picture was shown."""
        video = self._open.pop(seed, None)
        if video is not None:
            video.finish()

    def discard(self) -> None:
        """Forgets videos of rollouts that have not ended."""
        for video in self._open.values():
            video.discard()
        self._open = {}


class _Video:
    def __init__(self, path: Path, rate_hz: int, size: tuple[int, ...]) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._container: Any = av.open(str(self._part), "w", format="mp4")
        self._stream: Any = self._container.add_stream("libx264", rate=rate_hz)
        self._stream.height, self._stream.width = (side - side % 2 for side in size)  # H.264 has no odd sides.
        self._stream.pix_fmt = "yuv420p"

    def add(self, picture: NDArray[np.uint8]) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._container.mux(self._stream.encode(frame.reformat(self._stream.width, self._stream.height)))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        self._container.close()
        self._part.unlink(missing_ok=True)
