"""The training loop of both stages: denoising with AdamW, a moving average, exact resume."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from shared.philox import philox_uint64
from trainer.config import TrainingConfig
from trainer.data.batches import Batch, BatchSource, RankBatch
from trainer.device import autocast, compute_dtype, deterministic_algorithms, worth_compiling
from trainer.model.action_head import ActionHead
from trainer.model.compilation import Forward, compiled
from trainer.model.compute_copy import compute_copy
from trainer.model.diffusion import forward_process
from trainer.progress import Progress, silent
from trainer.training.interruption import Interruption
from trainer.training.loss_record import LossRecord
from trainer.training.metrics import MetricsLog
from trainer.training.moving_average import MovingAverage
from trainer.training.optimization import build_optimizer, learning_rate
from trainer.training.ranks import ALONE, Ranks
from trainer.training.run_folder import RunFolder
from trainer.training.saving import Saver
from trainer.training.stopwatch import Stopwatch
from trainer.training.threads import available_threads
from trainer.training.training_state import TrainingState, load_training_state, save_training_state
from trainer.training.transfer import send

# An id that no trajectory has, so that noise and sample order come from different streams.
_NOISE_STREAM = np.array([2**63], np.uint64)

Validate = Callable[[], Mapping[str, float]]
"""What held-out windows say of the head."""
Publish = Callable[[int, float, Mapping[str, float]], Callable[[Mapping[str, Tensor]], None]]
"""Given the step, the seconds so far and what held-out windows say, or nothing: what writes a policy of the averaged
weights, which it is given on the CPU, in a thread of its own."""


class TrainingLoop:
    """One run of gradient steps, from wherever its folder says it stopped.

    A step is a function of the weights, the batch, the seed and the step's number: no random state is carried along.

    Attributes:
        step: gradient steps done.
        average: the moving average of the trained weights.
    """

    def __init__(
        self,
        head: ActionHead,
        source: BatchSource,
        config: TrainingConfig,
        folder: RunFolder,
        progress: Progress,
        ranks: Ranks = ALONE,
    ) -> None:
        """Takes a head on its device, frozen as its mode says, and goes on from the folder's training state.

        Raises CheckpointError where that state is damaged.
        """
        self.ranks = ranks
        self.head, self.source, self.config, self.folder = head, source, config, folder
        self.progress = progress if self.ranks.is_first else silent
        self.device = next(head.parameters()).device
        self.weights: dict[str, Tensor] = dict(head.trained_parameters())
        self.average = MovingAverage(self.weights, config.average_power)
        self.step = self._saved_step = 0
        self._stopwatch = Stopwatch(self.device)
        self._optimizer = build_optimizer(head.trained_parameters(), config, self.device)
        self._forward: Forward | None = None
        self._has_dropout = any(isinstance(part, torch.nn.Dropout) and part.p > 0 for part in head.modules())
        self._process = forward_process(head.prediction_type, self.device)
        self._generator = torch.Generator()
        self._losses = LossRecord()
        if folder.training_state.exists():
            self._restore()

    @property
    def seconds(self) -> float:
        """Seconds that the gradient steps took, fetching their batches included, earlier starts included.

        Not counted: waiting for shards that are not there, compiling, validating, saving.
        """
        return self._stopwatch.seconds

    def run(self, validate: Validate | None = None, publish: Publish | None = None) -> None:
        """Trains to the last step.

        Args:
            validate: called every `checkpoint_every` steps, and after the last, with the average in the head.
            publish: called whenever something is saved.

        Raises:
            TrainingError: a loss, its gradient or a weight is not finite; the batch has been saved.
            KeyboardInterrupt: on SIGINT, SIGTERM or SIGHUP, after saving.
        """
        torch.set_num_threads(self.config.threads or available_threads())
        self.progress(self.step, self.config.steps)
        saver = Saver(self.config.saving_share, 60 * self.config.save_minutes)
        metrics = None
        if self.ranks.is_first:
            metrics = MetricsLog(self.folder.path, self.step, self.config.tensorboard)
        try:
            with Interruption() as interruption, deterministic_algorithms(self.config.deterministic):
                self._run(metrics, interruption, validate, saver, publish)
                saver.wait()
        finally:
            saver.close()
            if metrics is not None:
                metrics.close()

    def _run(
        self,
        metrics: MetricsLog | None,
        interruption: Interruption,
        validate: Validate | None,
        saver: Saver,
        publish: Publish | None,
    ) -> None:
        steps, config = self.config.steps, self.config
        self.head.train()
        meter = _Meter()
        while self.step < steps:
            self._stopwatch.start()
            place = self.source.state()
            batch = self._next_batch(interruption)
            # Here alone the ranks agree: inside a step, one would wait for another's sums for ever.
            if self.ranks.any(batch is None or interruption.requested) or batch is None:
                self._stop(place, saver, publish)
            meter.data_arrived()
            self._losses.add(self.gradient_step(batch), place)
            self.step += 1
            last = self.step == steps
            if last or self.step % config.log_every == 0:
                self._log(metrics, meter)
            measured: Mapping[str, float] = {}
            checkpoint = last or self.step % config.checkpoint_every == 0
            if checkpoint:
                # Weights after a bad step are neither saved nor measured.
                self._read_losses()
                if validate is not None and metrics is not None:
                    measured = self._validated(validate)
                    metrics.write({"step": self.step, **measured})
            meter.step_ended()
            if last or (checkpoint and saver.may_save) or saver.is_due:
                self._save(saver, publish, measured)

    def _next_batch(self, interruption: Interruption) -> Batch | RankBatch | None:
        """The next batch; None where a signal broke it off."""

        def tell(text: str) -> None:
            self._stopwatch.stop()
            self.progress(self.step, self.config.steps, text)

        try:
            with interruption.waiting():
                batch = self.source.next(tell)
        except KeyboardInterrupt:
            return None
        self._stopwatch.start()
        return batch

    def _stop(self, place: dict[str, Any], saver: Saver, publish: Publish | None) -> NoReturn:
        """Saves, the batch of the step that is not made given back, and raises KeyboardInterrupt."""
        # The signal may have come after the source moved on, even after it gave the batch.
        self.source.restore(place)
        self._save(saver, publish, {})
        saver.wait()
        # torchrun ends all as soon as one has ended.
        self.ranks.wait()
        raise KeyboardInterrupt

    def gradient_step(self, batch: Batch | RankBatch) -> Tensor:
        """One step of the optimizer and the average.

        Returns:
            The loss, or NaN where the gradient is not finite, on its device: reading it would make a GPU wait.
        """
        own = self.ranks.share(batch)
        if self._forward is None:
            self._stopwatch.stop()
            self._forward = self._choose_forward(own)
            self._stopwatch.start()
        rate = learning_rate(self.config, self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss = self._loss(own, self._forward)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.weights.values(), self.config.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.average.update()
        return self.ranks.mean(loss.detach() + 0 * norm)

    def _loss(self, batch: RankBatch, forward: Forward) -> Tensor:
        noise, timesteps = self._draw(batch.actions)
        noisy = self._process.add_noise(batch.actions, noise, timesteps)
        with autocast(self.device, self.config.precision):
            predicted = forward(noisy, timesteps, batch.condition, batch.pictures)
        return F.mse_loss(predicted.float(), self._process.target(batch.actions, noise, timesteps))

    def _draw(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """This rank's noise and timesteps of this step, drawn on the CPU so that every device sees the same."""
        seed = int(philox_uint64(self.config.seed, _NOISE_STREAM, self.step, 1)[0, 0]) & 0xFFFFFFFF
        self._generator.manual_seed(seed)
        windows = len(actions) * self.ranks.count
        noise = torch.randn((windows, *actions.shape[1:]), generator=self._generator)
        timesteps = self._process.draw(windows, self._generator)
        if self._has_dropout:
            torch.manual_seed(seed + self.ranks.rank)
        noise, timesteps = send(self.device, self.ranks.part(noise), self.ranks.part(timesteps))
        return noise, timesteps

    def _choose_forward(self, batch: RankBatch) -> Forward:
        dtype = compute_dtype(self.device, self.config.precision)
        head = self.head if dtype == torch.float32 else compute_copy(self.head, dtype, self.weights.values())
        # By the whole run's length: a resumed run must compute as the uninterrupted one does. What a compiler chooses
        # by measuring may differ from one run to the next.
        switch = "off" if self.config.deterministic and self.config.compile == "auto" else self.config.compile
        if not worth_compiling(switch, self.device, self.config.steps):
            return self.ranks.parallel(head)
        self.progress(self.step, self.config.steps, "compiling")
        return compiled(self.ranks.parallel(head), lambda forward: self._loss(batch, forward))

    def _log(self, metrics: MetricsLog | None, meter: "_Meter") -> None:
        losses = self._read_losses()
        rate, data_wait = meter.read()
        self._losses.clear()
        if metrics is None:
            return
        metrics.write(
            {
                "step": self.step,
                "loss": float(np.mean(losses)),
                "learning_rate": learning_rate(self.config, self.step - 1),
                "steps_per_s": rate,
                "windows_per_s": rate * self.config.batch_size,
                "data_wait": data_wait,
                **self.source.state(),
            }
        )
        self.progress(self.step, self.config.steps, f"loss {np.mean(losses):.4f}")

    def _validated(self, validate: Validate) -> Mapping[str, float]:
        self._stopwatch.stop()
        self.head.eval()
        try:
            with self.average.applied():
                return validate()
        finally:
            self.head.train()

    def _read_losses(self) -> list[float]:
        """Since the last line of the metrics. Raises TrainingError where one is not finite."""

        def redraw(place: dict[str, Any]) -> Batch | RankBatch:
            self.source.restore(place)
            return self.source.next(lambda text: None)

        return self._losses.read(self.step, self.folder.path, redraw)

    def _save(self, saver: Saver, publish: Publish | None, measured: Mapping[str, float]) -> None:
        """Saves all that the rest of the run depends on, and publishes a policy; both are written in the background.

        Raises TrainingError rather than save after a bad loss.
        """
        self._stopwatch.stop()
        if self.step == self._saved_step:
            return
        self._saved_step = self.step
        extra = {
            "step": self.step,
            "seconds": self.seconds,
            "losses": self._read_losses(),
            "source": self.source.state(),
        }

        def take() -> Callable[[], None]:
            written = None if publish is None else publish(self.step, self.seconds, measured)
            state = TrainingState.taken(self.weights, self.average, self._optimizer, extra)

            def write() -> None:
                # The policy first: a run that is killed in between makes the same one again.
                if written is not None:
                    written(state.average)
                save_training_state(self.folder.training_state, state)

            return write

        if self.ranks.is_first:
            saver.save(take)

    def _restore(self) -> None:
        extra = load_training_state(self.folder.training_state, self.weights, self.average, self._optimizer)
        self.step = self._saved_step = int(extra["step"])
        self._stopwatch = Stopwatch(self.device, float(extra["seconds"]))
        self._losses.restore(extra["losses"])
        self.source.restore(extra["source"])


class _Meter:
    """Step rate and the share of time spent waiting for data, between two lines of the metrics."""

    def __init__(self) -> None:
        self._mark = self._step_end = time.perf_counter()
        self._steps, self._wait = 0, 0.0

    def data_arrived(self) -> None:
        """Called when a step has its batch."""
        self._wait += time.perf_counter() - self._step_end
        self._steps += 1

    def step_ended(self) -> None:
        """Called at the end of a step."""
        self._step_end = time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Steps per second and share of waiting since the last reading."""
        now = time.perf_counter()
        seconds = now - self._mark
        rate, wait = self._steps / seconds, self._wait / seconds
        self._mark, self._steps, self._wait = now, 0, 0.0
        return rate, wait
