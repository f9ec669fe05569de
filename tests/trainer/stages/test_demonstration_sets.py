"""Several sets of demonstrations as one: whose windows a batch holds, in which order, and what can't be joined."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from shared.errors import ConfigError, TrainingError
from tests.trainer.data.demonstrations.example import mapping as robomimic_mapping
from tests.trainer.data.demonstrations.example import plain_columns, write_robomimic
from tests.trainer.example import RANGE, make_demonstrations, training
from trainer.commands.demonstration_sets import _mapping_of_each, sets_here
from trainer.commands.pretrain import _recorded
from trainer.config import AdaptConfig, HeadConfig
from trainer.data.demonstrations.episode import Demonstrations, Images
from trainer.data.demonstrations.joined import join
from trainer.data.normalization import ActionNormalizer
from trainer.data.shares import windows_of_each
from trainer.hub import HubAddress
from trainer.stages.adapt import adapt
from trainer.stages.demonstration_batches import DemonstrationBatches, fingerprint, observation_scaling
from trainer.stages.window_order import WindowOrder
from trainer.training.checkpoint import load_checkpoint, read_info

CPU = torch.device("cpu")
PATHS = [Path("a"), Path("b")]
BATCH = 16


def other_set(shift: float = 0.25) -> Demonstrations:
    """Of another task, elsewhere, of which every number of `target` says so."""
    made = make_demonstrations(5)
    episodes = [
        replace(one, observations={**one.observations, "target": one.observations["target"] + np.float32(shift)})
        for one in made.episodes
    ]
    return replace(made, task="place", episodes=tuple(episodes))


def mixed(weights: list[float] | None = None) -> Demonstrations:
    return join(PATHS, [make_demonstrations(6), other_set()], weights)[0]


def windows_of(demonstrations: Demonstrations, seed: int = 0, batch: int = BATCH) -> DemonstrationBatches:
    config = AdaptConfig(training=training(1, batch_size=batch, seed=seed), validation_windows=40)
    scaling = observation_scaling(demonstrations, "min_max")
    return DemonstrationBatches(demonstrations, ActionNormalizer(RANGE), scaling, config, CPU)


def test_a_batch_holds_each_set_by_its_share_and_each_pass_every_window_once() -> None:
    counts, shares = (7, 50), (0.75, 0.25)
    order = WindowOrder(counts, shares, 3, CPU)
    drawn = list[int]()
    for position in range(0, 400 * BATCH, BATCH):
        chosen, on_device = order.at(position, BATCH)
        assert chosen.tolist() == on_device.tolist()
        first = int((chosen < 7).sum())
        assert first == windows_of_each(shares, position, BATCH)[0]
        # The first set's windows come first.
        assert (chosen[:first] < 7).all()
        assert (chosen[first:] >= 7).all()
        drawn += chosen.tolist()
    own = [window for window in drawn if window < 7]
    assert abs(len(own) / len(drawn) - 0.75) < 0.001
    assert len({tuple(own[begin : begin + 7]) for begin in range(0, 700, 7)}) > 90
    assert all(sorted(own[begin : begin + 7]) == list(range(7)) for begin in range(0, len(own) - 7, 7))
    assert Counter(window for window in drawn if window >= 7).keys() == set(range(7, 57))
    # Any place is found from nothing, and after any other.
    fresh = WindowOrder(counts, shares, 3, CPU)
    for position in (4992, 16, 6384, 0):
        assert fresh.at(position, BATCH)[0].tolist() == drawn[position : position + BATCH]
    assert WindowOrder(counts, shares, 4, CPU).at(0, BATCH)[0].tolist() != drawn[:BATCH]


def test_one_set_is_drawn_as_ever() -> None:
    alone, joined = make_demonstrations(6), join(PATHS[:1], [make_demonstrations(6)], [2.0])[0]
    assert fingerprint(joined) == fingerprint(alone)
    a, b = windows_of(alone).next(lambda text: None), windows_of(joined).next(lambda text: None)
    assert all(torch.equal(*pair) for pair in zip(a[:2], b[:2], strict=True))


def test_batches_are_of_the_joined_sets_and_a_restored_place_gives_the_same() -> None:
    source = windows_of(mixed([3, 1]))
    assert source.held_out_sets() == {"set_1": slice(0, 20), "set_2": slice(20, 29)}
    held_out = source.validation()
    assert held_out is not None
    # Of 40 windows the first set's share would be 31, of which it has 20.
    assert len(held_out.actions) == 29
    batches = [source.next(lambda text: None) for _ in range(30)]
    again = windows_of(mixed([3, 1]))
    again.restore({"position": 20 * BATCH})
    for batch in batches[20:]:
        assert all(torch.equal(*pair) for pair in zip(batch[:2], again.next(lambda text: None)[:2], strict=True))
    # Five and four episodes of the two are trained on, each of a target of its own.
    given = torch.cat([batch.condition for batch in batches])
    assert len(torch.unique(given[:, :3], dim=0)) == 9


def test_what_is_seen_is_scaled_by_the_range_of_all_or_the_spread_of_the_mixture() -> None:
    joined = mixed([3, 1])
    parts = [
        np.concatenate([e.observations["target"] for e in one.episodes if not e.validation]).astype(np.float64)
        for one in (make_demonstrations(6), other_set())
    ]
    ranged, spread = (observation_scaling(joined, kind) for kind in ("min_max", "standard"))
    low, high = (getattr(np.concatenate(parts), name)(0) for name in ("min", "max"))
    assert np.allclose(ranged.center[:3], (low + high) / 2, atol=1e-6)
    assert np.allclose(1 / ranged.scale[:3], (high - low) / 2, atol=1e-6)
    mean = 0.75 * parts[0].mean(0) + 0.25 * parts[1].mean(0)
    square = 0.75 * ((parts[0] - mean) ** 2).mean(0) + 0.25 * ((parts[1] - mean) ** 2).mean(0)
    assert np.allclose(spread.center[:3], mean, atol=1e-6)
    assert np.allclose(1 / spread.scale[:3], np.sqrt(square), atol=1e-6)


def test_errors_are_told_of_each_set_and_the_run_is_resumed_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = AdaptConfig(
        "normal", HeadConfig(size="tiny"), training(6, checkpoint_every=3, log_every=1), validation_windows=24
    )
    demonstrations = mixed([3, 1])
    whole = adapt(tmp_path / "whole", demonstrations, config, action_range=RANGE)

    draw, stop = DemonstrationBatches.next, [4]

    def interrupted(self: DemonstrationBatches, tell: object) -> object:
        stop[0] -= 1
        if stop[0] < 0:
            raise KeyboardInterrupt
        return draw(self, tell)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(DemonstrationBatches, "next", interrupted)
        with pytest.raises(KeyboardInterrupt):
            adapt(tmp_path / "parts", demonstrations, config, action_range=RANGE)
    parts = adapt(tmp_path / "parts", demonstrations, config, action_range=RANGE)
    for a, b in zip(*(load_checkpoint(path)[0].state_dict().values() for path in (whole, parts)), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ConfigError, match=r"data\.demonstrations\.sets is"):
        adapt(tmp_path / "parts", mixed([2, 1]), config, action_range=RANGE)
    info = read_info(whole)
    assert info.task == "reach + place"
    assert info.held_out is not None
    assert {"position_mm", "set_1/position_mm", "set_2/position_mm"} <= set(info.held_out)
    # The mean of all is that of the parts, by their windows, but for the noise that is denoised.
    own = [info.held_out[f"{name}position_mm"] for name in ("", "set_1/", "set_2/")]
    counts = windows_of_each((0.75, 0.25), 0, 24)
    assert abs(own[0] - float(np.average(own[1:], weights=counts))) < 0.02 * own[0]
    last = json.loads((tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["set_2/position_mm"] == own[2]


def test_what_can_not_be_joined_is_said() -> None:
    first, other = make_demonstrations(6), other_set()
    for changed, message in (
        (replace(other, robot="panda"), "a and b can't be joined: robot twolink and panda; one policy moves one robot"),
        (replace(other, rate_hz=10.0), r"rate in Hz 20\.0 and 10\.0; pass --resample with --stage1"),
        (replace(other, action_label="reached"), "action label command and reached"),
        (replace(other, observation_widths={"target": 3}), r"observation widths \[3, 6\] and \[3\]; choose columns"),
        (make_demonstrations(5, "joint_position"), "action space ee_pose and joint_position"),
        (replace(other, cameras={"front": (48, 64)}), r"pictures \[\] and \[\(48, 64\)\]"),
        (replace(other, episodes=other.episodes[4:]), "every demonstration of b is held out"),
    ):
        with pytest.raises(ConfigError, match=message):
            join(PATHS, [first, changed])
    for weights in ([1.0], [0.0, 1.0], [float("nan"), 1.0]):
        with pytest.raises(ConfigError, match="weights is "):
            join(PATHS, [first, other], weights)
    with pytest.raises(ConfigError, match="a is given twice"):
        join([Path("a"), Path("./a")], [first, first])
    joined = mixed()
    dropped = replace(joined, episodes=tuple(e for e in joined.episodes if e.set_number == 0))
    with pytest.raises(TrainingError, match="b has no demonstration to train on"):
        observation_scaling(dropped, "min_max")


def test_columns_of_other_names_are_taken_in_their_order_and_other_rates_resampled() -> None:
    first, other = make_demonstrations(6), other_set()
    seen = Images(np.zeros((1, 40, 40, 3), np.uint8), np.zeros(31, np.int64))
    sets = []
    for one, names in ((first, ("target", "tcp_rotation_6d", "front")), (other, ("goal", "turn", "top"))):
        episodes = tuple(
            replace(
                episode,
                observations=dict(zip(names[:2], episode.observations.values(), strict=True)),
                images={names[2]: replace(seen, rows=seen.rows[: len(episode.actions)])},
            )
            for episode in one.episodes
        )
        widths = dict(zip(names[:2], (3, 6), strict=True))
        sets.append(replace(one, episodes=episodes, observation_widths=widths, cameras={names[2]: (40, 40)}))
    joined, said = join(PATHS, sets)
    assert said == [
        "goal of b is taken for target of a",
        "turn of b is taken for tcp_rotation_6d of a",
        "top of b is taken for front of a",
    ]
    assert list(joined.episodes[-1].observations) == list(joined.observation_widths) == ["target", "tcp_rotation_6d"]
    assert list(joined.episodes[-1].images) == list(joined.cameras) == ["front"]
    assert [episode.set_number for episode in joined.episodes] == [0] * 6 + [1] * 5
    assert joined.number == 11
    slow = replace(other, rate_hz=10.0)
    both, _ = join(PATHS, [first, slow], None, 20.0)
    lengths = [len(slow.episodes[0].actions), len(both.episodes[6].actions)]
    assert (both.rate_hz, lengths[1]) == (20.0, 2 * lengths[0] - 1)


def test_each_set_has_a_mapping_of_its_own_or_all_have_one(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    one, two, three = (tmp_path / f"{name}.toml" for name in "123")
    assert _mapping_of_each(folders[:1], []) == [None]
    assert _mapping_of_each(folders, [one]) == [one] * 3
    assert _mapping_of_each(folders, [one, two, three]) == [one, two, three]
    with pytest.raises(ConfigError, match="--mapping is given 2 times, and 3 of the 3 sets need one"):
        _mapping_of_each(folders, [one, two])
    with pytest.raises(ConfigError, match="--mapping is given 2 times, and 1 of the 1 sets"):
        _mapping_of_each(folders[:1], [one, two])


def test_sets_of_our_simulator_need_no_mapping(tmp_path: Path) -> None:
    own, folder, mapping = (
        [simulators(tmp_path / name) for name in ("a.hdf5", "b.hdf5")],
        tmp_path / "c",
        Path("m.toml"),
    )
    folder.mkdir()
    assert _mapping_of_each(own, []) == [None, None]
    assert _mapping_of_each([own[0], folder, own[1]], [mapping]) == [None, mapping, None]
    for given in ([mapping], [mapping, mapping]):
        with pytest.raises(ConfigError, match=r"--mapping m\.toml: all of --demos are of our simulator"):
            _mapping_of_each(own, given)
    for given in ([], [mapping] * 2):
        with pytest.raises(ConfigError, match=f"--mapping is given {len(given)} times, and 1 of the 2 sets need one"):
            _mapping_of_each([own[0], folder], given)


def test_addresses_are_resolved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapping, asked = tmp_path / "columns.json", list[str]()
    mapping.write_text(robomimic_mapping().model_dump_json(exclude_none=True))
    for name in "ab":
        (tmp_path / name).mkdir()
    write_robomimic(tmp_path / "a" / "low_dim.hdf5", 3, plain_columns)
    simulators(tmp_path / "b" / "demos.hdf5")

    def fetched(address: HubAddress, *_: object) -> Path:
        asked.append(str(address))
        return tmp_path / address.name.removeprefix("me/")

    monkeypatch.setattr("trainer.hub.fetched", fetched)
    addresses = [Path("hf://me/a@v1"), Path("hf://me/b")]
    found = sets_here(addresses, [mapping])
    assert asked == ["hf://me/a@v1", "hf://me/b"]
    assert [path for path, _ in found] == [tmp_path / "a" / "low_dim.hdf5", tmp_path / "b" / "demos.hdf5"]
    assert [meaning is None for _, meaning in found] == [False, True]
    # What pretraining reads, of both.
    asked.clear()
    (tmp_path / "b" / "demos.hdf5").unlink()
    write_robomimic(tmp_path / "b" / "demos.hdf5", 3, plain_columns)
    assert len(_recorded(addresses, [mapping], None, None)) == 2
    assert asked == ["hf://me/a@v1", "hf://me/b"]


def simulators(path: Path) -> Path:
    """A file that says that it is our simulator's, and no more."""
    with h5py.File(path, "w") as file:
        file.create_group("data").attrs["headstart"] = "{}"
        file.create_group("failed")
    return path
