"""LeRobot data sets: those that LeRobot wrote, and what can be wrong with them."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation as Reference

from shared.errors import ConfigError, DemonstrationError
from shared.rotation import matrix_to_rot6d
from tests.trainer.data.demonstrations.written import EPISODES, JOINTS, POSES, STEPS, VERSIONS, unpack_lerobot
from trainer.data.demonstrations import open_source, read_demonstrations
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.demonstrations.formats.frame_cache import FrameCache
from trainer.data.demonstrations.formats.lerobot_episodes import Entry
from trainer.data.demonstrations.formats.lerobot_meta import Meta
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping

CAMERAS = ("observation.images.front", "observation.images.wrist")
SHARE = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, STEPS)))[:, None]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lerobot")
    for version in VERSIONS:
        unpack_lerobot(version, folder)
    return folder


@pytest.fixture(params=VERSIONS)
def copy(written: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of `poses` that may be spoiled."""
    return Path(shutil.copytree(written / request.param / "poses", tmp_path / "poses"))


def read(path: Path, content: dict[str, Any], **changes: Any) -> Demonstrations:
    return read_demonstrations(
        path, mapping=parse_mapping(content | changes, "mapping"), frames=FrameCache(path.parent / "frames")
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_poses_are_what_was_written(written: Path, version: str) -> None:
    """The formulas are write_lerobot.py's."""
    demonstrations = read(written / version / "poses", POSES)
    assert (demonstrations.task, demonstrations.robot, demonstrations.rate_hz) == ("pick up the block", "panda", 20.0)
    assert demonstrations.observation_widths == {"observation.state": 8}
    assert len(demonstrations.episodes) == EPISODES
    for index, episode in enumerate(demonstrations.episodes):
        start, end = np.array([0.4, -0.1, 0.3]), np.array([0.5 + 0.05 * index, 0.1, 0.05])
        euler = np.array([3.0, 0.1, 0.3 * index]) + SHARE * np.array([0.1, -0.1, 0.5])
        rotation = matrix_to_rot6d(Reference.from_euler("xyz", euler).as_matrix())
        gripper = np.where(np.arange(STEPS) >= 18, 1.0, -1.0)[:, None]
        wanted = np.concatenate([start + (end - start) * SHARE, rotation, gripper], axis=1)
        assert np.abs(episode.actions - wanted).max() < 1e-6
        assert not episode.images


@pytest.mark.parametrize("version", VERSIONS)
def test_joints_are_what_was_written(written: Path, version: str) -> None:
    demonstrations = read(written / version / "joints", JOINTS)
    assert demonstrations.action_space == "joint_position"
    # What the format marks as observed is the observation where the mapping does not choose.
    assert demonstrations.observation_widths == {"observation.state": 8}
    for index, episode in enumerate(demonstrations.episodes):
        end = np.deg2rad([10 * index, 25, 5, -100, 5, 120, 60])
        assert np.abs(episode.actions[-1] - [*end, 0.9]).max() < 1e-5
        assert episode.actions[0, -1] == -1.0


@pytest.mark.parametrize("version", VERSIONS)
def test_pictures_are_those_of_their_step(written: Path, version: str) -> None:
    demonstrations = read(written / version / "poses", POSES, observation={})
    assert demonstrations.cameras == {CAMERAS[0]: (64, 64), CAMERAS[1]: (48, 80)}
    steps = np.arange(STEPS)
    for index, episode in enumerate(demonstrations.episodes):
        for camera in CAMERAS:
            pictures = episode.images[camera].at(steps).astype(int)
            assert pictures.shape == (STEPS, *demonstrations.cameras[camera], 3)
            colour = np.stack([30 + 8 * steps, np.full(STEPS, 60 + 60 * index), 220 - 6 * steps], axis=1)
            # Steps are 8 apart in red, so that half of that tells them apart through what compression does.
            assert np.abs(np.median(pictures[:, 30:], axis=(1, 2)) - colour).max() <= 3
            for step in (0, 13, 25):
                assert (pictures[step, 10:14, 6 + step : 10 + step] > 215).all()


def test_pictures_are_resized_and_decoded_once(written: Path, tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "frames")
    small = parse_mapping(POSES | {"observation": {"cameras": list(CAMERAS), "image_size": [24, 40]}}, "mapping")
    path = written / "v3.0" / "poses"
    demonstrations = read_demonstrations(path, mapping=small, frames=cache)
    assert demonstrations.cameras == {CAMERAS[0]: (24, 40), CAMERAS[1]: (24, 40)}
    entries = {entry.name for entry in cache._entries()}
    assert len(entries) == 2
    again = read_demonstrations(path, mapping=small, frames=FrameCache(tmp_path / "frames"))
    assert {entry.name for entry in cache._entries()} == entries
    for a, b in zip(demonstrations.episodes, again.episodes, strict=True):
        assert np.array_equal(a.images[CAMERAS[1]].at(np.arange(STEPS)), b.images[CAMERAS[1]].at(np.arange(STEPS)))


def _png(picture: np.ndarray) -> bytes:
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = picture.shape[1], picture.shape[0], "rgb24"
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def test_pictures_in_the_parquet_file(written: Path, tmp_path: Path) -> None:
    """The layout of dtype "image", which LeRobot writes with use_videos=False."""
    root = Path(shutil.copytree(written / "v2.1" / "joints", tmp_path / "joints"))
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (EPISODES, STEPS, 16, 20, 3), dtype=np.uint8)
    for index in range(EPISODES):
        path = root / "data" / "chunk-000" / f"episode_{index:06d}.parquet"
        column = pa.array([{"bytes": _png(one), "path": None} for one in pictures[index]])
        pq.write_table(pq.read_table(path).append_column("observation.images.top", column), path)
    info = json.loads((root / "meta" / "info.json").read_text())
    info["features"]["observation.images.top"] = {
        "dtype": "image",
        "shape": [3, 16, 20],
        "names": ["channels", "h", "w"],
    }
    (root / "meta" / "info.json").write_text(json.dumps(info))
    demonstrations = read(root, JOINTS)
    assert demonstrations.cameras == {"observation.images.top": (16, 20)}
    for index, episode in enumerate(demonstrations.episodes):
        assert np.array_equal(episode.images["observation.images.top"].at(np.arange(STEPS)), pictures[index])
    table = pq.read_table(path)
    broken = pa.array([{"bytes": b"no picture", "path": None}] * STEPS)
    pq.write_table(
        table.set_column(table.column_names.index("observation.images.top"), "observation.images.top", broken), path
    )
    with pytest.raises(
        DemonstrationError, match=r"episode_000002\.parquet: episode 2: 'observation\.images\.top' can't be"
    ):
        read(root, JOINTS)


def test_only_one_task_of_several(written: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(written / "v2.1" / "joints", tmp_path / "joints"))
    path = root / "meta" / "episodes.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["tasks"] = ["put it down"]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    with pytest.raises(ConfigError, match=r'has 2 tasks, and a policy is not told .* only_task, "\*" for all: pick up'):
        read(root, JOINTS)
    assert [e.name for e in read(root, JOINTS, only_task="put it down").episodes] == ["episode 1"]
    assert [e.name for e in read(root, JOINTS, only_task="pick up the block").episodes] == ["episode 0", "episode 2"]
    assert len(read(root, JOINTS, only_task="*").episodes) == 3


@pytest.mark.parametrize("tasks", [1, 5, 10])
def test_every_tenth_of_the_chosen_task_is_held_out(written: Path, tmp_path: Path, tasks: int) -> None:
    """Tasks that were recorded in turn: by its number in the data set, one of five had half of it held out."""
    root = Path(shutil.copytree(written / "v2.1" / "joints", tmp_path / "joints"))
    line = json.loads((root / "meta" / "episodes.jsonl").read_text().splitlines()[0])
    lines = [line | {"episode_index": index, "tasks": [f"task {index % tasks}"]} for index in range(30 * tasks)]
    (root / "meta" / "episodes.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    edit_info(total_episodes=len(lines))(root)
    for task in range(tasks):
        chosen = open_source(root).choose(parse_mapping(JOINTS | {"only_task": f"task {task}"}, "mapping"))
        assert [one.index for one in chosen] == list(range(task, 30 * tasks, tasks))
        assert [place for place, one in enumerate(chosen) if one.validation] == [4, 14, 24]


def test_the_contents_are_described(written: Path) -> None:
    contents = open_source(written / "v3.0" / "poses").contents
    assert (contents.format, contents.episodes, contents.masks) == ("LeRobot v3.0", 3, ())
    assert contents.columns["action"] == 7
    assert contents.defaults == ("observation.state", *CAMERAS)


def first(root: Path, pattern: str) -> Path:
    return sorted(root.glob(pattern))[0]


def truncate(pattern: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = first(root, pattern)
        path.write_bytes(path.read_bytes()[:-200])

    return spoil


def remove(pattern: str) -> Callable[[Path], None]:
    return lambda root: first(root, pattern).unlink()


def empty_episodes(root: Path) -> None:
    shutil.rmtree(root / "meta" / "episodes", ignore_errors=True)
    if (root / "meta" / "episodes.jsonl").exists():
        (root / "meta" / "episodes.jsonl").write_text("")


def rewrite(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = first(root, "data/*/*.parquet")
        pq.write_table(change(pq.read_table(path)), path)

    return spoil


def nan(table: pa.Table) -> pa.Table:
    values = np.stack(table.column("action").to_pylist()).astype(np.float32)
    values[5, 2] = np.nan
    column = pa.FixedSizeListArray.from_arrays(values.reshape(-1), values.shape[1])
    return table.set_column(table.column_names.index("action"), "action", column)


def edit_info(**changes: Any) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = root / "meta" / "info.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def change_width(root: Path) -> None:
    """info.json says that actions have a component more than they have."""
    path = root / "meta" / "info.json"
    info = json.loads(path.read_text())
    info["features"]["action"]["shape"] = [8]
    path.write_text(json.dumps(info))


def twice(root: Path) -> None:
    """Two of the three episodes are said to be number 1."""
    lines = root / "meta" / "episodes.jsonl"
    if lines.exists():
        lines.write_text(lines.read_text().replace('"episode_index": 2', '"episode_index": 1'))
        return
    path = first(root, "meta/episodes/*/*.parquet")
    table = pq.read_table(path)
    numbers = pa.array([0, 1, 1], table.schema.field("episode_index").type)
    pq.write_table(table.set_column(table.column_names.index("episode_index"), "episode_index", numbers), path)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (truncate("data/*/*.parquet"), r"data/chunk-000/.*\.parquet: can't be read as Parquet"),
        (remove("data/*/*.parquet"), r"data/chunk-000/.*\.parquet: can't be read as Parquet"),
        (rewrite(lambda table: table.slice(0, 20)), r"\.parquet: has 20 steps of episode 0, meta/ says 26"),
        (rewrite(lambda table: table.drop_columns("action")), r"\.parquet: .*action"),
        (rewrite(nan), r"\.parquet: episode 0: 'action' is not finite at step 5, column 2"),
        (truncate("videos/**/*.mp4"), r"\.mp4: episode 0: 'observation\.images\.front' "),
        (remove("videos/**/*.mp4"), r"\.mp4: can't be read \(No such file or directory\); is the data set whole"),
        (empty_episodes, r"info\.json: says that there are 3 episodes, meta/ has 0"),
        (remove("meta/info.json"), r"info\.json: can't be read \(No such file or directory\)"),
        (lambda root: (root / "meta/info.json").write_text("{"), r"info\.json: is not JSON"),
        (edit_info(codebase_version="v1.6"), r"is of LeRobot's version v1\.6; v2\.0 to v3\.x can be read"),
        (edit_info(fps=0), r"info\.json: is not whole"),
        (edit_info(features=[]), r"info\.json: is not whole"),
        (change_width, r"poses: episode 0: 'action' has 7 components, expected 8 as in the rest of the data set"),
        (twice, r"info\.json: meta/ has episode 1 twice"),
        (edit_info(total_episodes=4), r"says that there are 4 episodes, meta/ has 3"),
        (edit_info(data_path="../{episode_index}.parquet"), "leads outside the data set"),
        (edit_info(data_path="{secret}.parquet"), r"has an unknown \{secret\}"),
    ],
)
def test_a_damaged_data_set_is_named(copy: Path, spoil: Callable[[Path], None], complaint: str) -> None:
    spoil(copy)
    with pytest.raises(DemonstrationError, match=complaint):
        read(copy, POSES, observation={})


def test_a_video_that_ends_early_is_named(copy: Path) -> None:
    path = sorted(copy.glob("videos/**/*.mp4"))[0]
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg4", 20)
        stream.width = stream.height = 64
        for _ in range(10):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        target.mux(stream.encode(None))
    with pytest.raises(
        DemonstrationError, match=r"has no frame for step 10, at 0\.500 s; it ends at 0\.450 s: is it whole"
    ):
        read(copy, POSES, observation={})
    info = json.loads((copy / "meta" / "info.json").read_text())
    info["features"]["observation.images.front"]["shape"] = [32, 32, 3]
    (copy / "meta" / "info.json").write_text(json.dumps(info))
    with pytest.raises(DemonstrationError, match="has pictures of 64 x 64, expected 32 x 32"):
        read(copy, POSES, observation={})


def test_videos_are_looked_up_a_fixed_number_of_times_an_episode(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once where its camera's steps are counted, once where it is read: not once for each other episode."""
    calls: Counter[tuple[int, str]] = Counter()
    found = Meta.video_path

    def counted(meta: Meta, entry: Entry, camera: str) -> Path:
        calls[entry.index, camera] += 1
        return found(meta, entry, camera)

    monkeypatch.setattr(Meta, "video_path", counted)
    read(copy, POSES, observation={})
    assert calls == {(index, camera): 2 for index in range(EPISODES) for camera in CAMERAS}


def test_episodes_whose_video_is_not_said_are_refused(written: Path, tmp_path: Path) -> None:
    """Else every one of them would show the beginning of the first file."""
    newer, older = (Path(shutil.copytree(written / v / "poses", tmp_path / v)) for v in VERSIONS)
    path = first(newer, "meta/episodes/*/*.parquet")
    table = pq.read_table(path)
    pq.write_table(table.drop_columns([name for name in table.column_names if name.startswith("videos/")]), path)
    complaint = (
        r"meta/episodes/chunk-000/file-000\.parquet: does not say where the video '\S+front' of episode 0 is: its "
        r"videos/\S+front/file_index is missing or null; leave the episode out, or the camera"
    )
    with pytest.raises(DemonstrationError, match=complaint):
        read(newer, POSES, observation={})
    assert len(read(newer, POSES).episodes) == EPISODES
    edit_info(video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_000000.mp4")(older)
    complaint = r"info\.json: its path template '.*' names episode_000000\.mp4 for episode 0 and for episode 1; v2\.1"
    with pytest.raises(DemonstrationError, match=complaint):
        read(older, POSES, observation={})


def test_masks_are_of_robomimic(written: Path) -> None:
    with pytest.raises(ConfigError, match=r"filter_key is of robomimic's files"):
        read(written / "v3.0" / "joints", JOINTS, filter_key="train")
    with pytest.raises(ConfigError, match="its pictures need a folder to be decoded into"):
        read_demonstrations(written / "v3.0" / "poses", mapping=parse_mapping(POSES | {"observation": {}}, "m"))
