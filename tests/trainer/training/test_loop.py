import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.errors import CheckpointError, TrainingError
from tests.trainer.example import HEAD, HEADS, Windows, random_windows, training
from trainer.config import HeadConfig, Mode, TrainingConfig
from trainer.data.batch_source import Batch, RankBatch
from trainer.model.action_head import ActionHead
from trainer.model.backbones import build_backbone
from trainer.model.conditioning import stage2_conditioning
from trainer.progress import silent
from trainer.training.interruption import Interruption
from trainer.training.loop import TrainingLoop
from trainer.training.optimization import learning_rate
from trainer.training.run_folder import RunFolder
from trainer.training.training_state import TrainingState

OBS_DIM = 6
TINY = HEADS["dp_mlp-adaln_zero"]


def make_head(mode: Mode = "decoupled", config: HeadConfig = HEAD) -> ActionHead:
    torch.manual_seed(0)
    backbone = build_backbone(config, 10)
    head = ActionHead(backbone, stage2_conditioning(config, backbone, OBS_DIM, None), config.prediction_type)
    head.freeze(mode)
    return head


def make_loop(
    path: Path,
    config: TrainingConfig,
    mode: Mode = "decoupled",
    on_next: Callable[[int], None] = lambda p: None,
    head: HeadConfig = HEAD,
) -> TrainingLoop:
    path.mkdir(exist_ok=True)
    windows = Windows(random_windows(24, 2 * OBS_DIM), config.batch_size, on_next)
    return TrainingLoop(make_head(mode, head), windows, config, RunFolder(path), silent)


def lines(path: Path) -> list[dict[str, Any]]:
    """The metrics that do not depend on the clock."""
    clock = ("steps_per_s", "windows_per_s", "data_wait")
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in clock} for row in rows]


def assert_equal(a: TrainingLoop, b: TrainingLoop) -> None:
    for name, value in a.weights.items():
        assert torch.equal(value, b.weights[name]), name
        assert torch.equal(a.average.average[name], b.average.average[name]), name


@pytest.mark.parametrize("mode", ["normal", "random_body"])
def test_interrupted_at_any_step_a_run_ends_bit_equal(tmp_path: Path, mode: Mode) -> None:
    config = training(14, checkpoint_every=6)
    whole = make_loop(tmp_path / "whole", config, mode)
    whole.run()

    def interrupt(position: int) -> None:
        if position == 9 * config.batch_size:
            signal.raise_signal(signal.SIGTERM)

    before = {name: value.clone() for name, value in make_head(mode).named_parameters()}
    first = make_loop(tmp_path / "parts", config, mode, interrupt)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    assert first.step == 9
    second = make_loop(tmp_path / "parts", config, mode)
    assert second.step == 9
    second.run()
    assert_equal(whole, second)
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    trained = set(second.weights)
    for name, value in second.head.named_parameters():
        assert torch.equal(value, before[name]) == (name not in trained), name


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    config = training(14, checkpoint_every=4)
    whole = make_loop(tmp_path / "whole", config)
    whole.run()

    class Killed(BaseException):
        """Like SIGKILL: nothing gets a chance to save."""

    def kill(position: int) -> None:
        if position == 11 * config.batch_size:
            raise Killed

    with pytest.raises(Killed):
        make_loop(tmp_path / "parts", config, on_next=kill).run()
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 12, "lo')
    second = make_loop(tmp_path / "parts", config)
    assert second.step == 8
    second.run()
    assert_equal(whole, second)
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_a_step_finishes_it_first(tmp_path: Path, number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    loop = make_loop(tmp_path, training(5, log_every=1))
    inside = loop.average.update

    def update() -> None:
        inside()
        if loop.average.updates == 3:
            signal.raise_signal(number)

    loop.average.update = update  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert (loop.step, loop.folder.training_state.exists()) == (3, True)
    assert signal.getsignal(number) is handler


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        loop = make_loop(tmp_path, training(5), on_next=lambda position: signal.raise_signal(signal.SIGHUP))
        loop.run()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert loop.step == 5


def test_a_signal_while_saving_stops_before_the_next_batch_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    loop = make_loop(tmp_path, training(9, checkpoint_every=4), on_next=waited.append)

    def interrupted_copy(*args: Any) -> TrainingState:
        signal.raise_signal(signal.SIGTERM)
        return take(*args)

    take = TrainingState.taken
    monkeypatch.setattr("trainer.training.loop.TrainingState.taken", interrupted_copy)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert (loop.step, waited) == (4, [0, 8, 16, 24])
    assert make_loop(tmp_path, training(9)).step == 4


def test_waiting_does_not_begin_once_a_stop_is_requested() -> None:
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), interruption.waiting():
            pytest.fail("it began to wait")


class Clock:
    """Seconds that pass only when something says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("trainer.training.stopwatch.perf_counter", made)
    return made


def make_timed_loop(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, on_next: Callable[[int], None] = lambda p: None
) -> TrainingLoop:
    """Each step takes 1 s; each fetching 0.25 s, after a wait of 1000 s in every third; compiling and saving 1000 s."""
    loop = make_loop(path, training(12, checkpoint_every=5), on_next=on_next)
    update, fetch, take = loop.average.update, loop.source.next, TrainingState.taken
    prepare = loop._gradient.prepare

    def slow_fetch(tell: Callable[[str], None]) -> Batch | RankBatch:
        clock.pass_by(0.25)
        if loop.step % 3 == 0:
            tell("waiting")
            clock.pass_by(1000)
        return fetch(tell)

    def slow_update() -> None:
        clock.pass_by(1)
        update()

    def slow_compile(*args: Any) -> None:
        clock.pass_by(1000)
        prepare(*args)

    def slow_copy(*args: Any) -> TrainingState:
        clock.pass_by(1000)
        return take(*args)

    monkeypatch.setattr(loop.source, "next", slow_fetch)
    monkeypatch.setattr(loop.average, "update", slow_update)
    monkeypatch.setattr(loop._gradient, "prepare", slow_compile)
    monkeypatch.setattr("trainer.training.loop.TrainingState.taken", slow_copy)
    return loop


def test_seconds_are_those_of_the_steps_over_all_starts(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validate() -> dict[str, float]:
        clock.pass_by(1000)
        return {}

    def interrupt(position: int) -> None:
        if position == 7 * 8:
            signal.raise_signal(signal.SIGTERM)

    first = make_timed_loop(tmp_path, clock, monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        first.run(validate)
    # The fetching that was broken off counts too.
    assert (first.step, first.seconds) == (7, 7 * 1.25 + 0.25)
    second = make_timed_loop(tmp_path, clock, monkeypatch)
    assert second.seconds == first.seconds
    second.run(validate)
    assert (second.step, second.seconds) == (12, 12 * 1.25 + 0.25)


def test_dropout_resumes_too(tmp_path: Path) -> None:
    def loop(path: Path, steps: int) -> TrainingLoop:
        return make_loop(path, training(steps, checkpoint_every=3), "normal", head=replace(TINY, dropout=0.3))

    whole = loop(tmp_path / "whole", 6)
    whole.run()
    first = loop(tmp_path / "parts", 6)
    first.source.on_next = lambda position: signal.raise_signal(signal.SIGINT) if position == 24 else None  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        first.run()
    torch.rand(7)
    second = loop(tmp_path / "parts", 6)
    second.run()
    assert_equal(whole, second)


def test_the_same_seed_gives_the_same_curve_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_loop(tmp_path / name, training(5, seed=seed)).run()
    a, b, c = (lines(tmp_path / name) for name in "abc")
    assert a == b
    assert a[0]["loss"] != c[0]["loss"]


def test_a_loss_that_is_not_finite_stops_and_keeps_its_batch(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, training(20, log_every=4, checkpoint_every=3))
    windows = loop.source.windows  # type: ignore[attr-defined]

    def poison(position: int) -> None:
        if position == 6 * 8:
            windows.actions[2, 0, 0] = float("nan")

    loop.source.on_next = poison  # type: ignore[attr-defined]
    with pytest.raises(TrainingError, match="the loss or its gradient is not finite at step 7"):
        loop.run()
    from safetensors.torch import load_file

    saved = load_file(tmp_path / "non-finite-step-00000007.safetensors")
    assert torch.isnan(saved["actions"][2, 0, 0])
    assert make_loop(tmp_path, training(20)).step == 6


@pytest.mark.parametrize("bad", [3, 4, 6])
def test_weights_after_a_gradient_that_is_not_finite_are_never_saved(tmp_path: Path, bad: int) -> None:
    # Steps 3 and 6 save, 6 is the last; after step 4 it is noticed at the end.
    loop = make_loop(tmp_path, training(6, log_every=4 if bad == 3 else 6, checkpoint_every=3))
    steps: list[int] = []

    def overflow(gradient: torch.Tensor) -> torch.Tensor:
        steps.append(len(steps) + 1)
        return gradient * float("inf") if steps[-1] == bad else gradient

    loop.head.conditioning.projection.bias.register_hook(overflow)  # type: ignore[no-untyped-call]

    def validate() -> dict[str, float]:
        assert all(weight.isfinite().all() for weight in loop.weights.values())
        return {}

    with pytest.raises(TrainingError, match=f"the loss or its gradient is not finite at step {bad};"):
        loop.run(validate)
    assert loop.step == {3: 3, 4: 6, 6: 6}[bad]
    assert [path.name for path in tmp_path.glob("non-finite-*")] == [f"non-finite-step-{bad:08d}.safetensors"]
    again = make_loop(tmp_path, training(6))
    assert again.step == (0 if bad == 3 else 3)
    assert all(weight.isfinite().all() for weight in again.weights.values())


def test_a_damaged_training_state_is_named(tmp_path: Path) -> None:
    make_loop(tmp_path, training(3)).run()
    state = tmp_path / "checkpoints" / "training.safetensors"
    content = state.read_bytes()
    state.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"training\.safetensors.*not a whole safetensors file"):
        make_loop(tmp_path, training(3))
    state.write_bytes(content)
    with pytest.raises(CheckpointError, match="another shape"):
        make_loop(tmp_path, training(3), "normal")


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    config = training(1000, learning_rate=1e-3, warmup_steps=100)
    rates = [learning_rate(config, step, 1e-3) for step in range(1000)]
    assert rates[0] == 1e-5
    assert rates[99] == rates[100] == 1e-3
    assert rates[550] == pytest.approx(0.5e-3)
    assert rates[999] < 1e-8
    assert max(rates) == 1e-3


def test_weight_decay_spares_biases_norms_and_modulation(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, training(1, weight_decay=0.5), "normal")
    decayed, plain = loop._gradient.optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.5, 0.0)
    names = {id(value): name for name, value in loop.weights.items()}
    matrices = {names[id(value)] for value in decayed["params"]}
    assert "backbone.blocks.0.up.weight" in matrices
    assert "conditioning.encoder.layers.0.weight" in matrices
    assert not any("projection" in name or "norm" in name or name.endswith("bias") for name in matrices)


def test_validation_sees_the_average(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, training(4))
    seen: list[torch.Tensor] = []

    def validate() -> dict[str, float]:
        assert not loop.head.training
        seen.append(loop.head.conditioning.projection.bias.detach().clone())
        return {"validation_loss": 1.5}

    loop.run(validate)
    assert torch.equal(seen[0], loop.average.average["conditioning.projection.bias"])
    assert not torch.equal(seen[0], loop.head.conditioning.projection.bias)
    assert lines(tmp_path)[-1] == {"step": 4, "validation_loss": 1.5}


COMPILING = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
"""torch's own compiler imports what torch has deprecated."""


@COMPILING
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_compiled_training_follows_eager(tmp_path: Path) -> None:
    make_loop(tmp_path / "eager", training(4, log_every=1), head=TINY).run()
    make_loop(tmp_path / "compiled", training(4, log_every=1, compile="on"), head=TINY).run()
    pairs = zip(lines(tmp_path / "eager"), lines(tmp_path / "compiled"), strict=True)
    assert max(abs(a["loss"] - b["loss"]) for a, b in pairs) < 1e-4


@COMPILING
def test_without_a_compiler_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor.cpp, "cxx", ("/nonexistent/g++",))
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    torch._dynamo.reset()
    make_loop(tmp_path / "compiled", training(3, compile="on"), head=TINY).run()
    make_loop(tmp_path / "eager", training(3), head=TINY).run()
    assert lines(tmp_path / "compiled") == lines(tmp_path / "eager")
    assert caplog.text.count("torch.compile can't be used here") == 1
