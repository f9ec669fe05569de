import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shared.errors import ConfigError
from trainer.data.demonstrations.formats.frame_cache import FrameCache

SIZE = (4, 5)
BYTES = 4 * 5 * 3


def pictures(count: int, seed: int = 0) -> Iterator[tuple[float, np.ndarray]]:
    rng = np.random.default_rng(seed)
    for index in range(count):
        yield index / 10, rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def never() -> Iterator[tuple[float, np.ndarray]]:
    raise AssertionError("decoded again")


def source(folder: Path, content: str) -> Path:
    path = folder / f"{content}.mp4"
    path.write_text(content)
    return path


def entries(cache: FrameCache) -> int:
    return len(cache._entries())


def test_pictures_are_decoded_once_for_a_content(tmp_path: Path) -> None:
    one, cache = source(tmp_path, "one"), FrameCache(tmp_path / "frames")
    decoded = cache.get(one, "", SIZE, 7, lambda: pictures(7))
    assert np.array_equal(decoded.frames, np.stack([picture for _, picture in pictures(7)]))
    assert decoded.times.tolist() == [index / 10 for index in range(7)]
    assert not decoded.frames.flags.writeable
    # Elsewhere by the same content, and in another program.
    moved = tmp_path / "moved.mp4"
    moved.write_text("one")
    assert np.array_equal(FrameCache(tmp_path / "frames").get(moved, "", SIZE, 7, never).frames, decoded.frames)
    # Another content at the same place, another part and another size are others.
    os.utime(one, ns=(0, 0))
    one.write_text("two")
    assert len(cache.get(one, "", SIZE, 3, lambda: pictures(3)).frames) == 3
    cache.get(moved, "left", SIZE, 2, lambda: pictures(2))
    assert entries(cache) == 3


def test_an_entry_is_opened_once(tmp_path: Path) -> None:
    """Hundreds of episodes share a video, and each would parse the times of all of its frames."""
    one, cache = source(tmp_path, "one"), FrameCache(tmp_path / "frames")
    decoded = cache.get(one, "", SIZE, 3, lambda: pictures(3))
    assert cache.get(one, "", SIZE, 3, never) is decoded


def test_nothing_is_left_of_what_was_broken_off(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "frames")

    def broken() -> Iterator[tuple[float, np.ndarray]]:
        yield from pictures(2)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cache.get(source(tmp_path, "one"), "", SIZE, 3, broken)
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["sources"]
    assert len(cache.get(source(tmp_path, "one"), "", SIZE, 3, lambda: pictures(3)).frames) == 3


def test_a_damaged_entry_is_decoded_again(tmp_path: Path) -> None:
    one, folder = source(tmp_path, "one"), tmp_path / "frames"
    FrameCache(folder).get(one, "", SIZE, 3, lambda: pictures(3))
    (entry,) = FrameCache(folder)._entries()
    for name, content in (("frames.bin", "short"), ("entry.json", "{"), ("entry.json", "{}")):
        (entry / name).write_text(content)
        assert len(FrameCache(folder).get(one, "", SIZE, 3, lambda: pictures(3)).frames) == 3


def test_what_was_not_used_longest_goes_first(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    for age, name in enumerate(("new", "middle", "old")):
        cache = FrameCache(folder)
        cache.get(source(tmp_path, name), "", SIZE, 2, lambda: pictures(2))
        (entry,) = (path for path in cache._entries() if path.name in cache._used)
        os.utime(entry, (1e9 - age, 1e9 - age))
    small = FrameCache(folder, 7 * BYTES)
    small.get(source(tmp_path, "new"), "", SIZE, 2, never)
    small.get(source(tmp_path, "more"), "", SIZE, 3, lambda: pictures(3))
    # new (2) and more (3) are in use, and one of the others (2) fits beside them.
    assert entries(small) == 3
    small.get(source(tmp_path, "middle"), "", SIZE, 2, never)
    with pytest.raises(ConfigError, match=r"pictures of 4 x 5 need more than the .* GB .*image_size .* --frames-gb"):
        small.get(source(tmp_path, "last"), "", SIZE, 1, lambda: pictures(1))
    with pytest.raises(ConfigError, match="need more than"):
        FrameCache(folder, 7 * BYTES).get(source(tmp_path, "liar"), "", SIZE, 1, lambda: pictures(8))
