"""Pictures out of videos and out of PNG and JPEG bytes, by PyAV (FFmpeg)."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def decode_video(path: Path, stored: tuple[int, int], size: tuple[int, int]) -> Iterator[tuple[float, Picture]]:
    """The time [s] and picture (height, width, 3) of each frame of a video, in the order of their times.

    Args:
        path: of the video.
        stored: height and width that its frames must have.
        size: height and width of the pictures.

    Raises:
        ValueError: it can't be decoded, or its frames have another size.
    """
    yield from _decode(str(path), stored, size)


def decode_picture(content: bytes, stored: tuple[int, int], size: tuple[int, int]) -> Picture:
    """The picture (height, width, 3) in the bytes of a PNG or JPEG file. Raises ValueError as `decode_video`."""
    for _, picture in _decode(io.BytesIO(content), stored, size):
        return picture
    raise ValueError("holds no picture")


def video_size(path: Path) -> tuple[int, int]:
    """Height and width of a video. Raises ValueError where it is none, OSError where it is not there."""
    return _size(str(path))


def picture_size(content: bytes) -> tuple[int, int]:
    """Height and width of the picture in the bytes of a PNG or JPEG file. Raises ValueError where it is none."""
    return _size(io.BytesIO(content))


def resize(picture: Picture, size: tuple[int, int]) -> Picture:
    """A picture (height, width, 3) of another size."""
    if picture.shape[:2] == size:
        return picture
    return _pixels(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"), size)


def _size(file: str | BinaryIO) -> tuple[int, int]:
    try:
        with av.open(file, "r") as container:
            if not container.streams.video:
                raise ValueError("holds no picture")
            return container.streams.video[0].height, container.streams.video[0].width
    except av.FFmpegError as error:
        raise ValueError(f"can't be decoded ({error})") from error


def _decode(file: str | BinaryIO, stored: tuple[int, int], size: tuple[int, int]) -> Iterator[tuple[float, Picture]]:
    try:
        with av.open(file, "r") as container:
            if not container.streams.video:
                raise ValueError("holds no picture")
            stream = container.streams.video[0]
            # Before anything is decoded: a file can say that it is gigantic.
            if (stream.height, stream.width) != stored:
                raise ValueError(
                    f"has pictures of {stream.height} x {stream.width}, expected {stored[0]} x {stored[1]}"
                )
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                yield frame.time or 0.0, _pixels(frame, size)
    except av.FFmpegError as error:
        raise ValueError(f"can't be decoded ({error})") from error


def _pixels(frame: Any, size: tuple[int, int]) -> Picture:
    height, width = size
    smaller = height < frame.height or width < frame.width
    # Averages where it shrinks, so that no row or column of pixels is skipped.
    interpolation = "AREA" if smaller else "BICUBIC"
    pixels: Picture = frame.reformat(width, height, "rgb24", interpolation=interpolation).to_ndarray()
    return pixels
