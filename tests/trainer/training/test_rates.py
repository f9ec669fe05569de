"""Learning rates: the schedule, what lengthening a run does, and a rate of its own for cameras' networks."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared.errors import ConfigError
from tests.trainer.example import HEADS, RANGE, make_demonstrations, training
from tests.trainer.policies import seen_by_a_camera
from tests.trainer.training.test_loop import assert_equal, lines, make_loop
from trainer import tensor_file
from trainer.config import AdaptConfig, PretrainConfig, TrainingConfig
from trainer.json_lines import read_lines
from trainer.model.vision import VISION
from trainer.stages.adapt import adapt
from trainer.training.optimization import learning_rate, set_rates
from trainer.training.run_folder import RunFolder
from trainer.training.training_state import KIND


def rates(config: TrainingConfig) -> list[float]:
    return [learning_rate(config, step, config.learning_rate) for step in range(config.steps)]


def test_a_line_and_a_constant_after_the_same_warm_up() -> None:
    config = training(1000, learning_rate=1e-3, warmup_steps=100, schedule="linear")
    linear = rates(config)
    assert linear[0] == 1e-5
    assert linear[99] == linear[100] == 1e-3
    assert linear[550] == pytest.approx(0.5e-3)
    assert linear[999] == pytest.approx(1e-3 / 900)
    constant = rates(replace(config, schedule="constant"))
    assert constant[:100] == linear[:100] == rates(replace(config, schedule="cosine"))[:100]
    assert constant[100:] == 900 * [1e-3]


def test_only_a_schedule_with_an_end_cuts_the_warm_up() -> None:
    short = training(10, learning_rate=1e-3, warmup_steps=100)
    assert [rates(replace(short, schedule=one))[5] for one in ("cosine", "linear")] == [1e-3, 1e-3]
    assert rates(replace(short, schedule="constant"))[5] == pytest.approx(6e-5)


def test_a_constant_run_that_is_lengthened_is_the_longer_one_and_others_are_not(tmp_path: Path) -> None:
    found = {}
    for schedule in ("constant", "linear"):
        short = training(5, log_every=1, warmup_steps=4, learning_rate=1e-3, schedule=schedule)
        longer, folder = replace(short, steps=9), tmp_path / schedule
        whole = make_loop(tmp_path / f"{schedule}-whole", longer)
        whole.run()
        make_loop(folder, short).run()
        second = make_loop(folder, longer)
        assert second.step == 5
        second.run()
        found[schedule] = [line["learning_rate"] for line in lines(folder)]
        if schedule == "constant":
            assert_equal(whole, second)
    assert found["constant"] == [2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3]
    # Its warm-up is half of the shorter run; at step 5 the rate jumps up to the longer one's line.
    assert found["linear"] == pytest.approx([5e-4, 1e-3, 1e-3, 2e-3 / 3, 1e-3 / 3, 8e-4, 6e-4, 4e-4, 2e-4])


def camera_config(steps: int, **settings: object) -> AdaptConfig:
    given = training(steps, log_every=1, batch_size=4, warmup_steps=0, weight_decay=0.0, learning_rate=1e-3, **settings)
    return AdaptConfig("normal", HEADS["dp_mlp-film"], given, validation_windows=0, directions=0)


def trained(run: Path) -> dict[str, torch.Tensor]:
    return dict(tensor_file.read(RunFolder(run).training_state, KIND)[0])


def test_cameras_networks_have_a_rate_of_their_own(tmp_path: Path) -> None:
    demonstrations = seen_by_a_camera(make_demonstrations())
    ends: list[dict[str, torch.Tensor]] = []
    for rate in (1e-5, None, 1e-3):
        config = camera_config(2, schedule="constant", vision_learning_rate=rate)
        adapt(tmp_path / str(rate), demonstrations, config, action_range=RANGE)
        ends.append(trained(tmp_path / str(rate)))
    slow, same, equal = ends
    assert all(torch.equal(value, equal[name]) for name, value in same.items())
    apart = {name: float((slow[name] - same[name]).abs().max()) for name in slow if name.startswith("weights/")}
    seen = [name for name in apart if VISION in name]
    assert len(seen) == 64
    # In the first step the projection is zero, and no gradient comes to the pictures. The second moves their weights
    # by Adam's ratio of moments, whatever the gradient, and the others by what they had before.
    ratio = 0.1 / (1 - 0.9**2) / math.sqrt(0.001 / (1 - 0.999**2))
    assert max(apart[name] for name in seen) == pytest.approx((1e-3 - 1e-5) * ratio, rel=1e-3)
    assert max(by for name, by in apart.items() if name not in seen) == 0
    written = [line for line in read_lines(tmp_path / "1e-05" / "metrics.jsonl") if "loss" in line]
    assert [(line["learning_rate"], line["vision_learning_rate"]) for line in written] == 2 * [(1e-3, 1e-5)]


def test_it_is_resumed_to_the_bit_group_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demonstrations, config = seen_by_a_camera(make_demonstrations()), camera_config(4, vision_learning_rate=1e-4)
    config = replace(config, training=replace(config.training, checkpoint_every=2, weight_decay=0.1))
    adapt(tmp_path / "whole", demonstrations, config, action_range=RANGE)

    class Killed(BaseException):
        """Like SIGKILL."""

    def kill(*arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("trainer.training.gradient_steps.set_rates", lambda *a: kill() if a[2] == 3 else set_rates(*a))
        with pytest.raises(Killed):
            adapt(tmp_path / "parts", demonstrations, config, action_range=RANGE)
    adapt(tmp_path / "parts", demonstrations, config, action_range=RANGE)
    whole, parts = trained(tmp_path / "whole"), trained(tmp_path / "parts")
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_it_is_refused_before_anything_is_touched_where_no_camera_is_trained(tmp_path: Path) -> None:
    config = camera_config(1, vision_learning_rate=1e-5)
    with pytest.raises(ConfigError, match=r"vision_learning_rate is of .* demonstrations of reach have no cameras"):
        adapt(tmp_path / "run", make_demonstrations(), config, action_range=RANGE)
    with pytest.raises(ConfigError, match="vision_learning_rate is of cameras' networks, which Stage 1 has none of"):
        PretrainConfig(training=config.training)
    with pytest.raises(ConfigError, match="vision_learning_rate is 2; it must be a finite number, at least 1e-08"):
        training(1, vision_learning_rate=2)
    assert not (tmp_path / "run").exists()
