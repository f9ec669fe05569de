"""Stage 2 on demonstrations and copies of them: what a batch holds, resumed to the bit, while copies are made."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from services.engine import InlineEngine
from services.jobs import begin, make_dataset
from shared.dataset import Dataset
from shared.errors import ConfigError
from shared.records import list_column
from tests.trainer.data.copies.example import COUNT, DEMONSTRATIONS, MOTIONS, RANGE, make_copies, request
from tests.trainer.example import HEADS, training
from tests.trainer.example import make_dataset as make_plain_dataset
from trainer import tensor_file
from trainer.config import AdaptConfig, HeadConfig, PretrainConfig
from trainer.data.copies.observations import CopiedObservations
from trainer.data.copies.opening import failed_copies
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.stages.adapt import adapt
from trainer.stages.batches_with_copies import batch_parts, with_copies
from trainer.stages.demonstration_batches import observation_scaling
from trainer.stages.pretrain import pretrain
from trainer.training.checkpoint import KIND, read_info
from trainer.training.training_summary import training_summary


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_copies(tmp_path_factory.mktemp("copies") / "dataset")


def config(steps: int = 6, **settings: object) -> AdaptConfig:
    head = HeadConfig(size="tiny")
    made = AdaptConfig("normal", head, training(steps), validation_windows=8, copies_share=0.75)
    return replace(made, **settings)  # type: ignore[arg-type]


def test_a_batch_has_windows_of_both_each_with_its_observations(copies: Dataset, tmp_path: Path) -> None:
    given, normalizer = config(), ActionNormalizer(RANGE)
    scaling = observation_scaling(DEMONSTRATIONS, "min_max")
    windows = with_copies(copies, tmp_path, DEMONSTRATIONS, normalizer, scaling, given, torch.device("cpu"))
    assert batch_parts(given) == (2, 6)
    rows = [copies.read_shard(commit) for commit in copies.state().commits]
    observations = CopiedObservations(MOTIONS, DEMONSTRATIONS)
    of_copies = [observations.of_rows(table) for table in rows]
    scaled = (np.concatenate(of_copies) - scaling.center) * scaling.scale
    position = np.concatenate([list_column(table, "ee_position")[0].reshape(-1, 3) for table in rows])
    low, high = (np.array(RANGE["position"][side]) for side in ("min", "max"))
    commanded = 2 * (position - low) / (high - low) - 1
    seen = set()
    for _ in range(12):
        batch = windows.next(lambda text: None)
        assert batch.actions.shape == (8, 16, 10)
        assert batch.condition.shape == (8, 2 * scaling.obs_dim)
        for window, condition in zip(batch.actions[2:].numpy(), batch.condition[2:].numpy(), strict=True):
            # Its second step is one of the copies', with the very observations of that step.
            step = np.abs(commanded - window[1, :3]).sum(1).argmin()
            np.testing.assert_allclose(window[1, :3], commanded[step], atol=1e-5)
            near = np.abs(scaled - condition[scaling.obs_dim :]).max(1)
            assert near.min() < 1e-5
            seen.add(int(near.argmin()))
    assert len(seen) > 60
    held_out = windows.validation()
    assert held_out is not None
    assert len(held_out.actions) == 8


def weights(path: Path) -> dict[str, torch.Tensor]:
    return dict(tensor_file.read(path, KIND)[0])


def assert_same(a: Path, b: Path) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_interrupted_and_resumed_it_ends_bit_equal(copies: Dataset, tmp_path: Path) -> None:
    given = config(observation_noise=0.05)
    whole = adapt(tmp_path / "whole", DEMONSTRATIONS, given, action_range=RANGE, copies=copies)
    assert not (tmp_path / "whole" / "decoded").exists()

    class Stopped(Exception):
        pass

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 3:
            raise Stopped

    every = replace(given, training=replace(given.training, log_every=1, checkpoint_every=2))
    plain = adapt(tmp_path / "every", DEMONSTRATIONS, every, action_range=RANGE, copies=copies)
    assert_same(whole, plain)
    with pytest.raises(Stopped):
        adapt(tmp_path / "cut", DEMONSTRATIONS, every, action_range=RANGE, copies=copies, progress=stop)
    state = tmp_path / "cut" / "checkpoints" / "training.safetensors"
    assert state.exists()
    assert_same(whole, adapt(tmp_path / "cut", DEMONSTRATIONS, every, action_range=RANGE, copies=copies))
    summary = training_summary(tmp_path / "whole")
    assert (summary["demonstrations"], summary["multiplied"]) == (COUNT, 24)


def test_copies_that_are_still_made_give_the_same_policy(copies: Dataset, tmp_path: Path) -> None:
    given = config()
    finished = adapt(tmp_path / "finished", DEMONSTRATIONS, given, action_range=RANGE, copies=copies)
    growing = begin(request(), tmp_path / "growing")

    waits = threading.Event()

    def make() -> None:
        assert waits.wait(300)
        assert make_dataset(request(), growing, InlineEngine())
        growing.set_state("sealed")

    def tell(done: int, total: int, note: str = "") -> None:
        if note.startswith("waiting for shard"):
            waits.set()

    thread = threading.Thread(target=make)
    thread.start()
    try:
        live = adapt(
            tmp_path / "live", DEMONSTRATIONS, given, action_range=RANGE, copies=Dataset(tmp_path / "growing"),
            progress=tell,
        )  # fmt: skip
    finally:
        thread.join()
    assert waits.is_set()
    assert_same(finished, live)


def test_a_run_with_other_copies_is_another_run(copies: Dataset, tmp_path: Path) -> None:
    adapt(tmp_path / "run", DEMONSTRATIONS, config(), action_range=RANGE, copies=copies)
    known = json.loads((tmp_path / "run" / "config.json").read_text())
    assert known["data"]["copies"] == {"dataset_id": request().dataset_id, "count": 24}
    with pytest.raises(ConfigError, match="holds another run"):
        adapt(tmp_path / "run", DEMONSTRATIONS, config(), action_range=RANGE)


def refused(demonstrations: Demonstrations, given: AdaptConfig, source: Dataset, folder: Path, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        adapt(folder, demonstrations, given, action_range=RANGE, copies=source)


def test_what_can_not_be_trained_on_is_said(copies: Dataset, tmp_path: Path) -> None:
    plain = make_plain_dataset(tmp_path / "plain")
    refused(DEMONSTRATIONS, config(), plain, tmp_path / "a", "has no copies of demonstrations: its request has another")
    one = config(training=training(6, batch_size=1))
    refused(DEMONSTRATIONS, one, copies, tmp_path / "b", "a batch of 1 has no room for demonstrations and copies")
    episodes = tuple(replace(episode, name=f"other/{episode.name}") for episode in DEMONSTRATIONS.episodes)
    others = replace(DEMONSTRATIONS, episodes=episodes)
    refused(others, config(), copies, tmp_path / "c", "of demonstrations that are not among these, such as data/demo_0")
    slower = replace(DEMONSTRATIONS, rate_hz=10.0)
    refused(slower, config(), copies, tmp_path / "d", "the copies are at 20 Hz, the demonstrations at 10 Hz")
    for share in (0.0, 1.0):
        with pytest.raises(ConfigError, match="copies_share is"):
            config(copies_share=share)


def test_stage_1_learns_from_where_tool_and_objects_are(copies: Dataset, tmp_path: Path) -> None:
    for name, head in HEADS.items():
        if name not in ("dp_mlp-adaln_zero", "dp_t-cross_attn"):
            continue
        pretrained = PretrainConfig(head, training(4), condition="objects", validation_share=0.2, validation_windows=8)
        checkpoint = pretrain(tmp_path / name, copies, pretrained, action_range=RANGE)
        info = read_info(checkpoint)
        assert info.condition_dim == 2 * 9 * 3
        given = config(mode="decoupled", head=head)
        adapted = adapt(tmp_path / f"{name}-stage2", DEMONSTRATIONS, given, stage1=tmp_path / name)
        assert read_info(adapted).backbone == info.backbone


def test_the_condition_is_where_they_are_seen(copies: Dataset, tmp_path: Path) -> None:
    given = PretrainConfig(HeadConfig(size="tiny"), training(4), condition="objects", validation_share=0.0)
    normalizer = ActionNormalizer(RANGE)
    stream = dataset_batches(copies, tmp_path, normalizer, given, torch.device("cpu"))
    batch = stream.next(lambda text: None)
    poses = batch.condition.reshape(8, 2, 3, 9).numpy()
    known = np.concatenate(
        [
            list_column(copies.read_shard(commit), "object/base/position")[0].reshape(-1, 3)
            for commit in copies.state().commits
        ]
    )
    low, high = (np.array(RANGE["position"][side]) for side in ("min", "max"))
    places = poses[:, :, 2, :3] * (high - low) / 2 + (high + low) / 2
    assert np.abs(places.reshape(-1, 1, 3) - known[None]).max(-1).min(1).max() < 1e-5
    # The tool is seen behind its commands, never far from them.
    assert np.abs(poses[:, 1, 0, :3] - batch.actions[:, 1, :3].numpy()).max() < 0.5
    plain = make_plain_dataset(tmp_path / "plain")
    with pytest.raises(ConfigError, match="has no objects: condition 'objects' is for copies of demonstrations"):
        dataset_batches(plain, tmp_path, normalizer, given, torch.device("cpu"))


def replayed(path: Path, success: list[bool], dataset_id: str) -> Path:
    """What `trainer replay --out` writes, as far as it is read."""
    entries = [{"id": number, "success": well} for number, well in enumerate(success)]
    path.write_text(json.dumps({"dataset_id": dataset_id, "copies": entries}))
    return path


def test_copies_that_failed_a_replay_are_left_out_of_every_batch(copies: Dataset, tmp_path: Path) -> None:
    success = [number % 3 == 0 for number in range(24)]
    left_out = failed_copies(replayed(tmp_path / "r.json", success, copies.header.dataset_id), copies)
    assert left_out == {number for number in range(24) if number % 3}
    given, normalizer = config(), ActionNormalizer(RANGE)
    scaling = observation_scaling(DEMONSTRATIONS, "min_max")
    device = torch.device("cpu")
    windows = with_copies(copies, tmp_path, DEMONSTRATIONS, normalizer, scaling, given, device, left_out)
    low, high = (np.array(RANGE["position"][side]) for side in ("min", "max"))
    table = pa.concat_tables([copies.read_shard(commit) for commit in copies.state().commits])
    steps, first = list_column(table, "ee_position")[0], list_column(table, "gripper")[1]
    commanded = 2 * (steps.reshape(-1, 3) - low) / (high - low) - 1
    seen = set()
    for _ in range(12):
        for window in windows.next(lambda text: None).actions[2:].numpy():
            steps_alike = np.flatnonzero(np.abs(commanded - window[8, :3]).max(1) < 1e-5)
            rows = set((np.searchsorted(first, steps_alike, side="right") - 1).tolist())
            # Rows of one demonstration begin alike.
            seen |= rows if len(rows) == 1 else set()
    assert seen == {number for number in range(24) if success[number]}


def test_a_run_without_the_failed_copies_is_another_run(copies: Dataset, tmp_path: Path) -> None:
    adapt(tmp_path / "run", DEMONSTRATIONS, config(), action_range=RANGE, copies=copies, left_out=frozenset({3, 1}))
    known = json.loads((tmp_path / "run" / "config.json").read_text())
    assert known["data"]["copies"]["left_out"] == [1, 3]
    assert training_summary(tmp_path / "run")["multiplied"] == 22
    with pytest.raises(ConfigError, match="holds another run"):
        adapt(tmp_path / "run", DEMONSTRATIONS, config(), action_range=RANGE, copies=copies)


def test_a_replay_that_does_not_say_of_every_copy_is_refused(copies: Dataset, tmp_path: Path) -> None:
    own = copies.header.dataset_id
    for success, dataset_id, message in [
        ([True] * 24, "0" * 64, "is of dataset 000000000000, the copies are"),
        ([True] * 23, own, "of 23 copies, the dataset has 24; replay them all .--count 24."),
        ([False] * 24, own, "says that no copy succeeded"),
    ]:
        with pytest.raises(ConfigError, match=message):
            failed_copies(replayed(tmp_path / "r.json", success, dataset_id), copies)
    for text in ("", "{}", "[]", '{"dataset_id": "a", "copies": [{"id": "x", "success": 1}]}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ConfigError, match="is not what `python -m trainer replay --out` wrote"):
            failed_copies(tmp_path / "bad.json", copies)
    with pytest.raises(ConfigError, match="is not what"):
        failed_copies(tmp_path / "none.json", copies)
