from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.errors import ConfigError, DemonstrationError
from shared.summary import DemonstrationSummary
from shared.summary_file import read_summary
from tests.trainer.example import make_demonstrations
from trainer.__main__ import main
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.summarize import Tolerance, describe, summarize
from trainer.simulation.collect import collect


@pytest.fixture(scope="module")
def demonstrations() -> Demonstrations:
    return make_demonstrations(15)


def test_every_fifth_is_held_out_and_gives_windows_alone(demonstrations: Demonstrations) -> None:
    summary = summarize(demonstrations)
    assert (summary.demonstrations, summary.held_out, len(summary.chains)) == (12, 3, 12)
    starts = np.array([chain.position[0] for chain in summary.chains])
    ends = np.array([chain.position[-1] for chain in summary.chains])
    kept = [episode for i, episode in enumerate(demonstrations.episodes) if i % 5 != 4]
    assert np.abs(starts - [episode.actions[0, :3] for episode in kept]).max() < 0.004
    assert np.abs(ends - [episode.actions[-1, :3] for episode in kept]).max() < 0.004
    assert len(summary.held_out_windows.episode) == sum(
        len(episode.actions) - 16 + 9 for episode in demonstrations.episodes[4::5]
    )
    positions = np.concatenate([episode.actions[:, :3] for episode in demonstrations.episodes])
    assert np.abs(summary.position_range - [positions.min(0), positions.max(0)]).max() < 1e-6


def test_windows_are_the_demonstrations_own(demonstrations: Demonstrations) -> None:
    summary = summarize(demonstrations, windows=20)
    assert summary.fitted_windows.values.shape == (20, 16, 10)
    every = []
    for index, episode in enumerate(demonstrations.episodes):
        steps = np.clip(np.arange(-1, len(episode.actions) - 8)[:, None] + np.arange(16), 0, len(episode.actions) - 1)
        if index % 5 != 4:
            every.append(episode.actions[steps])
    apart = np.abs(summary.fitted_windows.values[:, None] - np.concatenate(every)).max((2, 3))
    assert apart.min(1).max() <= 0.5e-4 + 1e-7
    assert len(np.unique(apart.argmin(1))) == 20
    of = np.repeat(np.arange(12), [len(one) for one in every])
    assert np.array_equal(of[apart.argmin(1)], summary.fitted_windows.episode)


def test_the_same_demonstrations_give_the_same_summary(demonstrations: Demonstrations) -> None:
    one, two = (summarize(demonstrations, windows=30) for _ in range(2))
    assert one.content_sha256 == two.content_sha256
    assert DemonstrationSummary.from_json(one.to_json()).content_sha256 == one.content_sha256
    assert summarize(demonstrations, windows=31).content_sha256 != one.content_sha256


def test_what_can_not_be_summarized_is_refused(demonstrations: Demonstrations) -> None:
    for settings in ({"held_out": 1.0}, {"held_out": -0.1}, {"windows": 0}, {"windows": 10**6}, {"horizon": 1}):
        with pytest.raises(ConfigError):
            summarize(demonstrations, **settings)
    with pytest.raises(ConfigError, match="tolerances"):
        summarize(demonstrations, tolerance=Tolerance(position=0.0))
    one = replace(demonstrations, episodes=demonstrations.episodes[:1])
    alone = summarize(one)
    assert alone.held_out == 0
    assert DemonstrationSummary.from_json(alone.to_json()) == alone
    with pytest.raises(ConfigError, match="0 demonstrations are left"):
        summarize(one, held_out=0.999999999)
    short = one.episodes[0]
    object.__setattr__(short, "actions", short.actions[:1])
    with pytest.raises(DemonstrationError, match="demo_0: has 1 step"):
        summarize(one)


def test_the_command_says_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collect("stack", tmp_path / "stack.hdf5", first_seed=0, successes=5)
    monkeypatch.setattr("sys.argv", ["trainer", "summarize", str(path)])
    assert main() == 0
    out = capsys.readouterr().out
    summary = read_summary(tmp_path / "stack.summary.json")
    assert out.splitlines()[:-1] == describe(summary)
    assert out.startswith("4 demonstrations of stack fitted, 1 held out (panda, 20 Hz")
    assert (summary.task, summary.robot, summary.rate_hz, summary.action_label) == ("stack", "panda", 20.0, "command")
    for chain, episode in zip(summary.chains, read_demonstrations(path).episodes, strict=False):
        # Down, close, up and across, down, open: eight or nine waypoints, closed while the cube is held.
        assert 7 <= len(chain.gripper) <= 10
        assert np.count_nonzero(np.diff(chain.gripper)) == 2
        assert chain.duration.sum() + chain.dwell.sum() == pytest.approx((len(episode.actions) - 1) / 20)
    for wrong in (
        ["--held-out", "2"],
        ["--rate-hz", "0"],
        ["--count", "9"],
        ["--out", str(tmp_path / "no" / "s.json")],
    ):
        monkeypatch.setattr("sys.argv", ["trainer", "summarize", str(path), *wrong])
        assert main() == 2
        assert capsys.readouterr().err.startswith("error: ")
    monkeypatch.setattr(
        "sys.argv", ["trainer", "summarize", str(path), "--rate-hz", "10", "--out", str(tmp_path / "s")]
    )
    assert main() == 0
    assert read_summary(tmp_path / "s").rate_hz == 10.0
