"""Compiled code is never older than the sources it was made from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.synthesis import compiled

ROOT = Path(__file__).parents[3]
SHOW = """
import numpy as np
from services.synthesis.collision.capsules import link_frames
from services.synthesis.compiled import cache_folder
from services.synthesis.arm.kinematics import Chain, Followers
ints, floats = np.zeros(0, np.int64), np.zeros(0)
followers = Followers(ints, np.zeros((0, 3, 3)), np.zeros((0, 3)), np.zeros(0, np.bool_), ints, floats, floats)
frames = np.empty((2, 12))
link_frames(Chain(np.eye(3)[None], np.zeros((1, 3)), np.zeros(1, np.bool_)), followers, np.array([0.5]), frames)
print(cache_folder(), frames[1, 0].hex(), sum(link_frames.stats.cache_hits.values()), sep="\\n")
"""


def _run(root: Path, cache: Path) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", SHOW]
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    return run.stdout.split()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources, to be changed."""
    for package in ("services", "shared", "tests"):
        keep = shutil.ignore_patterns("__pycache__", "page", "vendor", "browser", "trainer", "data")
        shutil.copytree(ROOT / package, tmp_path / "source" / package, ignore=keep)
    return tmp_path / "source"


def test_a_change_in_another_file_is_compiled_again(copy: Path, tmp_path: Path) -> None:
    folder, before, hits = _run(copy, tmp_path / "cache")
    assert (_run(copy, tmp_path / "cache"), hits) == ([folder, before, "1"], "0")
    # link_frames lies in capsules.py, and the coefficients of its cosine in elementary.py.
    path = copy / "services/synthesis/numerics/elementary.py"
    path.write_text(path.read_text().replace("_C1, _C2, _C3 = 4.1", "_C1, _C2, _C3 = 4.2"))
    folder_after, after, hits = _run(copy, tmp_path / "cache")
    assert (folder_after != folder, after != before, hits) == (True, True, "0")


def test_a_few_folders_of_earlier_sources_are_kept(tmp_path: Path) -> None:
    for age in range(6):
        path = tmp_path / f"numba-{age}"
        path.mkdir()
        os.utime(path, (1e9 - age, 1e9 - age))
    compiled._remove_oldest(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["numba-0", "numba-1", "numba-2"]


def test_the_hash_is_of_every_source_that_can_be_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [tmp_path / name for name in ("services/synthesis/a.py", "services/synthesis/room/b.py", "shared/c.py")]
    other = tmp_path / "services/api/d.py"
    for path in (*sources, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("X = 1\n")
    monkeypatch.setattr(compiled, "_ROOT", tmp_path)
    monkeypatch.setattr(compiled, "_HERE", tmp_path / "services/synthesis")
    seen = [compiled.made_from_sha256()]
    for path in sources:
        path.write_text("X = 2\n")
        seen.append(compiled.made_from_sha256())
    sources[0].rename(sources[0].with_name("e.py"))
    seen.append(compiled.made_from_sha256())
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0")
    seen.append(compiled.made_from_sha256())
    assert len(set(seen)) == 6
    other.write_text("X = 2\n")
    assert compiled.made_from_sha256() == seen[-1]
