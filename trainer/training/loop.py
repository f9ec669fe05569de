"""The training loop of both stages: denoising with AdamW, a moving average, exact resume."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from trainer.config import TrainingConfig
from trainer.data.batch_source import Batch, BatchSource, RankBatch
from trainer.device import deterministic_algorithms
from trainer.model.action_head import ActionHead
from trainer.progress import Progress, silent
from trainer.training.gradient_steps import GradientSteps
from trainer.training.interruption import Interruption
from trainer.training.loss_record import LossRecord
from trainer.training.meter import Meter
from trainer.training.metrics import MetricsLog
from trainer.training.optimization import learning_rates
from trainer.training.ranks import ALONE, Ranks
from trainer.training.run_folder import RunFolder
from trainer.training.saving import Saver
from trainer.training.stopwatch import Stopwatch
from trainer.training.threads import available_threads
from trainer.training.training_state import TrainingState, load_training_state, save_training_state

Validate = Callable[[], Mapping[str, float]]
"""What held-out windows say of the head."""
Publish = Callable[[int, float, Mapping[str, float]], Callable[[Mapping[str, Tensor]], None]]
"""Given the step, the seconds so far and what held-out windows say, or nothing: what writes a policy of the averaged
weights, which it is given on the CPU, in a thread of its own."""


class TrainingLoop:
    """One run of gradient steps, from wherever its folder says it stopped.

    Attributes:
        step: gradient steps done.
        weights: the trained ones, by name.
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
        self._gradient = GradientSteps(head, config, ranks)
        self.weights, self.average = self._gradient.weights, self._gradient.average
        self.step = self._saved_step = 0
        self._stopwatch = Stopwatch(self.device)
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
            metrics = MetricsLog(self.folder.path, self.step, self.config)
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
        meter = Meter()
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
        if not self._gradient.ready:
            self._stopwatch.stop()
            self._gradient.prepare(self.step, own, lambda text: self.progress(self.step, self.config.steps, text))
            self._stopwatch.start()
        return self._gradient(self.step, own)

    def _log(self, metrics: MetricsLog | None, meter: Meter) -> None:
        losses = self._read_losses()
        rate, data_wait = meter.read()
        self._losses.clear()
        if metrics is None:
            return
        metrics.write(
            {
                "step": self.step,
                "loss": float(np.mean(losses)),
                **learning_rates(self.config, self.step - 1),
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
            state = TrainingState.taken(self.weights, self.average, self._gradient.optimizer, extra)

            def write() -> None:
                # The policy first: a run that is killed in between makes the same one again.
                if written is not None:
                    written(state.average)
                save_training_state(self.folder.training_state, state)

            return write

        if self.ranks.is_first:
            saver.save(take)

    def _restore(self) -> None:
        extra = load_training_state(self.folder.training_state, self.weights, self.average, self._gradient.optimizer)
        self.step = self._saved_step = int(extra["step"])
        self._stopwatch = Stopwatch(self.device, float(extra["seconds"]))
        self._losses.restore(extra["losses"])
        self.source.restore(extra["source"])
