"""What recorders leave in HDF5 files beside columns, and how pictures lie in them and in LeRobot data sets."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from shared.errors import DemonstrationError
from tests.trainer.data.demonstrations.example import mapping, plain_columns, write_robomimic
from tests.trainer.data.demonstrations.lerobot_example import episodes, png, pose_mapping, write_lerobot
from trainer.data.demonstrations import open_source, read_demonstrations
from trainer.data.demonstrations.description import describe_source
from trainer.data.demonstrations.formats.frame_cache import FrameCache
from trainer.data.demonstrations.formats.lerobot_picture_sizes import possible_sizes

STEPS = np.arange(40)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_robomimic(tmp_path / "demos.hdf5", 4, plain_columns)


def add(path: Path, demo: int, **arrays: Any) -> None:
    with h5py.File(path, "r+") as content:
        for name, values in arrays.items():
            content[f"data/demo_{demo}/{name}"] = values


def not_columns(path: Path) -> dict[str, str]:
    """What the description says of what is no column, by name."""
    lines = describe_source(open_source(path))
    if "not columns that a mapping can name:" not in lines:
        return {}
    start = lines.index("not columns that a mapping can name:") + 1
    pairs = [line.strip().partition(": ") for line in lines[start:] if line.startswith("  ")]
    return {name: reason for name, _, reason in pairs}


def test_arrays_that_are_no_columns_are_listed_with_the_reason(file: Path) -> None:
    for demo in range(4):
        add(file, demo, src_demo_inds=np.array([3, 1]), pose=np.zeros((40, 4, 4)), note=np.bytes_("good"))
    add(file, 2, extra=np.zeros((40, 2)))
    broken = np.zeros((40, 3))
    broken[7, 1] = np.nan
    for demo in range(4):
        add(file, demo, force=broken if demo in (1, 3) else np.zeros((40, 3)), things=np.zeros((40, 3 + demo // 2)))
    found = not_columns(file)
    assert found["src_demo_inds"] == (
        "not one row a step in 4 of 4 episodes, first in data/demo_0: 'src_demo_inds' has shape (2,), expected (40,)"
    )
    assert found["extra"] == "missing in 3 of 4 episodes, first in data/demo_0: lacks 'extra'"
    assert found["force"] == (
        "not finite in 2 of 4 episodes, first in data/demo_1: 'force' is not finite at step 7, column 1"
    )
    assert found["things"] == "not of one width: 3 in data/demo_0, 4 in data/demo_2"
    assert found["pose"] == "shape (40, 4, 4) of float64; a column has one row of numbers a step"
    assert found["note"].startswith("shape () of |S4; a column has")
    assert found.keys() == {"src_demo_inds", "extra", "force", "things", "pose", "note"}
    assert any(line.startswith("  joints [6]") for line in describe_source(open_source(file)))
    # None of them is in the way of what is a column.
    assert len(read_demonstrations(file, mapping=mapping()).episodes) == 4
    with pytest.raises(DemonstrationError, match=r"data/demo_1: 'force' is not finite at step 7, column 1"):
        read_demonstrations(file, mapping=mapping(observation__low_dim=["force"]))
    with pytest.raises(DemonstrationError, match=r"data/demo_0: lacks 'extra'"):
        read_demonstrations(file, mapping=mapping(observation__low_dim=["extra"]))


def test_a_file_that_does_not_say_its_steps_has_those_of_its_actions(file: Path) -> None:
    for demo in range(4):
        add(file, demo, aaa_inds=np.array([3, 1]))
    with h5py.File(file, "r+") as content:
        content["data/about"] = np.zeros(3)
        for index in range(4):
            del content[f"data/demo_{index}"].attrs["num_samples"]
    assert not_columns(file).keys() == {"aaa_inds"}
    assert len(read_demonstrations(file, mapping=mapping()).episodes) == 4


def pictures(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (len(STEPS), height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("first", [False, True])
def test_hdf5_pictures_with_their_channels_first_or_last(file: Path, tmp_path: Path, first: bool) -> None:
    wanted = pictures(12, 16)
    for demo in range(4):
        add(file, demo, **{"obs/front": np.moveaxis(wanted, -1, 1) if first else wanted})
    source = open_source(file)
    assert source.contents.cameras == {"obs/front": (12, 16)}
    seen = mapping(observation__cameras=["obs/front"])
    read = read_demonstrations(file, mapping=seen, frames=FrameCache(tmp_path / "frames"))
    assert read.cameras == {"obs/front": (12, 16)}
    assert np.array_equal(read.episodes[1].images["obs/front"].at(STEPS), wanted)


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ([3, 12, 16], ["rgb", "height", "width"]),
        ([3, 12, 16], ["height", "width", "channel"]),
        ([3, 12, 16], ["channels", "height", "width"]),
        ([3, 12, 16], None),
        ([12, 16, 3], ["channels", "height", "width"]),
        ([12, 16, 3], ["height", "width", "channels"]),
        ([12, 16, 3], None),
        ([16, 12, 3], ["width", "height", "channels"]),
        ([16, 12, 3], None),
        ([3, 16, 12], {"axes": ["c", "w", "h"]}),
        ([12, 16], None),
    ],
)
def test_the_layout_of_pictures_is_what_shape_and_pictures_say(tmp_path: Path, shape: list[int], names: Any) -> None:
    wanted, tables = pictures(12, 16), episodes(2)
    values = pa.array([{"bytes": png(picture), "path": None} for picture in wanted])
    root = write_lerobot(
        tmp_path / "set",
        [table | {"observation.image": values} for table in tables],
        features={"observation.image": {"dtype": "image", "shape": shape, "names": names}},
    )
    assert "camera observation.image: 12 x 16" in describe_source(open_source(root))
    seen = pose_mapping(observation={"cameras": ["observation.image"]})
    read = read_demonstrations(root, mapping=seen, frames=FrameCache(tmp_path / "frames"))
    assert np.array_equal(read.episodes[1].images["observation.image"].at(STEPS), wanted)


def test_sizes_that_a_shape_may_mean() -> None:
    assert possible_sizes((48, 64, 3), ["height", "width", "channels"]) == [(48, 64)]
    assert possible_sizes((64, 64, 3), None) == [(64, 64)]
    assert possible_sizes((3, 48, 64), ["height", "width", "channel"]) == [(48, 64), (64, 48)]
    # Three rows of pixels are possible, and channels are likelier last.
    assert possible_sizes((3, 48, 3), None) == [(3, 48), (48, 3)]


def test_a_shape_that_no_picture_has_is_refused(tmp_path: Path) -> None:
    features = {"observation.image": {"dtype": "video", "shape": [3], "names": None}}
    root = write_lerobot(tmp_path / "set", episodes(1), features=features)
    with pytest.raises(
        DemonstrationError, match=r"info\.json: says that 'observation\.image' has shape \(3,\); a picture"
    ):
        open_source(root)


def test_features_that_are_no_columns_are_listed(tmp_path: Path) -> None:
    tables = episodes(2)
    broken = tables[1]["action"][:, :2].copy()
    broken[4, 0] = np.inf
    for index, table in enumerate(tables):
        table["force"] = broken if index else table["action"][:, :2]
    features: dict[str, dict[str, Any]] = {
        "lost": {"dtype": "float32", "shape": [2], "names": None},
        "words": {"dtype": "string", "shape": [1]},
    }
    root = write_lerobot(tmp_path / "set", tables, features=features)
    found = not_columns(root)
    assert (
        found["force"] == "not finite in 1 of 2 episodes, first in episode 1: 'force' is not finite at step 4, column 0"
    )
    assert found["lost"] == (
        "missing in 2 of 2 episodes, first in episode 0: lacks 'lost', which meta/info.json says it has"
    )
    assert found["words"] == "string of shape (1,); a column has one row of numbers a step"
    assert len(read_demonstrations(root, mapping=pose_mapping()).episodes) == 2
