"""The file format alone: no simulator."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from shared.errors import ConfigError, DemonstrationError
from shared.rotation import matrix_to_rot6d, rotvec_to_matrix
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.formats.simulator import Header, read_header
from trainer.simulation.recording import Attempt, create_demonstrations

HEADER = Header(
    task="lift",
    robot="panda",
    rate_hz=20.0,
    action_label="command",
    observation_widths={"tcp_position": 3, "cube_position": 3},
    world_base=[[1.0, 0, 0, -0.56], [0, 1, 0, 0], [0, 0, 1, 0.912], [0, 0, 0, 1]],
    site_tcp=[[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0.0069], [0, 0, 0, 1]],
    first_seed=3,
    expert_version=1,
)


def make_attempt(seed: int, success: bool = True) -> Attempt:
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(5, 12))
    rotation = rotvec_to_matrix(rng.uniform(-2, 2, (steps, 3)))
    return Attempt(
        seed=seed,
        success=success,
        observations={key: rng.normal(size=(steps, 3)).astype(np.float32) for key in HEADER.observation_widths},
        actions=np.concatenate(
            [rng.normal(size=(steps, 3)), matrix_to_rot6d(rotation), rng.choice([-1.0, 1.0], (steps, 1))], axis=1
        ),
        states=rng.normal(size=(steps, 32)),
        succeeded=np.arange(steps) == steps - 1,
    )


def write(path: Path, *attempts: Attempt) -> Path:
    with create_demonstrations(path, HEADER, {"env_name": "Lift"}, "<mujoco/>") as writer:
        for one in attempts:
            writer.add(one)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "demos.hdf5", make_attempt(3), make_attempt(4, success=False), make_attempt(5))


def test_what_is_written_is_read(file: Path) -> None:
    demonstrations = read_demonstrations(file)
    assert read_header(file) == HEADER
    assert (demonstrations.task, demonstrations.robot, demonstrations.rate_hz) == ("lift", "panda", 20.0)
    assert demonstrations.observation_widths == HEADER.observation_widths
    assert [(one.name, one.seed, one.success) for one in demonstrations.episodes] == [
        ("data/demo_0", 3, True),
        ("data/demo_1", 5, True),
    ]
    assert [(one.name, one.seed, one.success) for one in demonstrations.failed] == [("failed/demo_0", 4, False)]
    assert demonstrations.attempts == 3
    wanted = make_attempt(5)
    episode = demonstrations.episodes[1]
    assert episode.actions.dtype == np.float32
    np.testing.assert_allclose(episode.actions, wanted.actions, atol=1e-6)
    np.testing.assert_array_equal(episode.initial_state, wanted.states[0])
    for key, values in wanted.observations.items():
        np.testing.assert_array_equal(episode.observations[key], values)


def test_the_first_few_can_be_asked_for(file: Path) -> None:
    assert [one.seed for one in read_demonstrations(file, 1).episodes] == [3]
    with pytest.raises(DemonstrationError, match="has 2 demonstrations, 3 were asked for"):
        read_demonstrations(file, 3)
    for count in (0, -1):
        with pytest.raises(DemonstrationError, match=f"{count} demonstrations were asked for; ask for 1 at least"):
            read_demonstrations(file, count)


def test_a_seed_draws_as_many_as_are_asked_for_and_holds_others_out(tmp_path: Path) -> None:
    path = write(tmp_path / "demos.hdf5", *(make_attempt(seed) for seed in range(30)))

    def trained(seed: int) -> list[int]:
        return [one.seed for one in read_demonstrations(path, 15, draw=seed).episodes if not one.validation]

    draws = [trained(seed) for seed in range(40)]
    assert all(len(set(draw)) == 15 and draw == sorted(draw) for draw in draws)
    assert draws[3] == trained(3)
    assert len({tuple(draw) for draw in draws}) == 40
    # Each is as likely as the others: 20 of 40 draws have it, give or take three standard deviations.
    times = np.bincount(np.concatenate(draws), minlength=30)
    assert np.abs(times - 20).max() <= 3 * (40 * 0.25) ** 0.5
    some, most, whole = (read_demonstrations(path, count, draw=0) for count in (10, 25, 30))
    for demonstrations, used, held_out in ((some, 20, 10), (most, 30, 5), (whole, 30, 3)):
        assert len({one.seed for one in demonstrations.episodes}) == len(demonstrations.episodes) == used
        assert sum(one.validation for one in demonstrations.episodes) == held_out
    assert (some.number, most.number, whole.number) == (10, 25, 30)
    assert [index for index, one in enumerate(whole.episodes) if one.validation] == [4, 14, 24]
    with pytest.raises(ConfigError, match="--draw draws some of the demonstrations; say with --count how many"):
        read_demonstrations(path, draw=0)
    with pytest.raises(DemonstrationError, match="has 30 demonstrations, 31 were asked for"):
        read_demonstrations(path, 31, draw=0)


def write_and_fail(path: Path) -> None:
    with create_demonstrations(path, HEADER, {}, "<mujoco/>") as writer:
        writer.add(make_attempt(0))
        raise ZeroDivisionError


def test_nothing_appears_if_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_and_fail(tmp_path / "demos.hdf5")
    assert list(tmp_path.iterdir()) == []


def test_only_failures_are_no_demonstrations(tmp_path: Path) -> None:
    path = write(tmp_path / "demos.hdf5", make_attempt(0, success=False))
    with pytest.raises(DemonstrationError, match="no successful demonstration"):
        read_demonstrations(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_file_is_named(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DemonstrationError, match=r"demos\.hdf5"):
        read_demonstrations(file)


def test_a_missing_file_and_one_that_is_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(DemonstrationError, match="there is no such file"):
        read_demonstrations(tmp_path / "none.hdf5")
    text = tmp_path / "text.hdf5"
    text.write_text("not HDF5")
    with pytest.raises(DemonstrationError, match="isn't a whole HDF5 file"):
        read_demonstrations(text)
    foreign = tmp_path / "foreign.hdf5"
    with h5py.File(foreign, "w") as other:
        other.create_dataset("data/demo_0/actions", data=np.zeros((3, 7)))
    with pytest.raises(DemonstrationError, match="'headstart' attribute"):
        read_header(foreign)
    with pytest.raises(ConfigError, match=r"needs a mapping, .* it has actions"):
        read_demonstrations(foreign)


def spoil_nan(file: h5py.File) -> None:
    file["data/demo_1/actions"][2, 4] = np.nan


def spoil_length(file: h5py.File) -> None:
    del file["data/demo_1/obs/cube_position"]
    file["data/demo_1/obs/cube_position"] = np.zeros((2, 3), np.float32)


def spoil_key(file: h5py.File) -> None:
    del file["data/demo_1/obs/cube_position"]


def spoil_attribute(file: h5py.File) -> None:
    del file["data/demo_1"].attrs["seed"]


def spoil_steps(file: h5py.File) -> None:
    demo = file["data/demo_1"]
    demo.attrs["num_samples"] = 0
    for key in ("actions", "states", "obs/tcp_position", "obs/cube_position"):
        empty = demo[key][:0]
        del demo[key]
        demo[key] = empty


def spoil_states(file: h5py.File) -> None:
    flat = file["data/demo_1/states"][:, 0]
    del file["data/demo_1/states"]
    file["data/demo_1/states"] = flat


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (spoil_nan, "'actions' is not finite at step 2, column 4"),
        (spoil_length, r"'obs/cube_position' has shape \(2, 3\)"),
        (spoil_key, "lacks 'obs/cube_position'"),
        (spoil_attribute, "seed"),
        (spoil_steps, "has no steps"),
        (spoil_states, r"'states' has shape \(\d+,\), expected \(\d+, None\)"),
    ],
)
def test_a_spoiled_demonstration_is_named(file: Path, spoil: object, complaint: str) -> None:
    with h5py.File(file, "r+") as opened:
        spoil(opened)  # type: ignore[operator]
    with pytest.raises(DemonstrationError, match=rf"demos\.hdf5: data/demo_1: .*{complaint}"):
        read_demonstrations(file)


def test_another_format_version_is_refused(file: Path) -> None:
    with h5py.File(file, "r+") as opened:
        text = opened["data"].attrs["headstart"]
        opened["data"].attrs["headstart"] = text.replace('"format_version": 1', '"format_version": 2')
    with pytest.raises(DemonstrationError, match="has format 2"):
        read_header(file)
