"""The training loop of both stages: denoising with AdamW, a moving average, exact resume."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from shared.philox import philox_uint64
from trainer.action_head import ActionHead
from trainer.batches import Batch, BatchSource
from trainer.compilation import Forward, compiled
from trainer.compute_copy import compute_copy
from trainer.config import DIFFUSION_STEPS, TrainingConfig
from trainer.device import autocast, compute_dtype, worth_compiling
from trainer.diffusion import Diffusion
from trainer.interruption import Interruption
from trainer.loss_record import LossRecord
from trainer.metrics import MetricsLog
from trainer.moving_average import MovingAverage
from trainer.optimization import build_optimizer, learning_rate
from trainer.progress import Progress, silent
from trainer.ranks import Ranks
from trainer.run_folder import RunFolder
from trainer.stopwatch import Stopwatch
from trainer.threads import available_threads
from trainer.training_state import load_training_state, save_training_state

# An id that no trajectory has, so that noise and sample order come from different streams.
_NOISE_STREAM = np.array([2**63], np.uint64)

Validate = Callable[[], Mapping[str, float]]


class TrainingLoop:
    """One run of gradient steps, from wherever its folder says it stopped.

    A step is a function of the weights, the batch, the seed and the step's number: no random state is carried along.

    Attributes:
        step: gradient steps done.
        average: the moving average of the trained weights.
    """

    def __init__(
        self, head: ActionHead, source: BatchSource, config: TrainingConfig, folder: RunFolder, progress: Progress
    ) -> None:
        """Takes a head on its device, frozen as its mode says, and goes on from the folder's training state.

        Raises CheckpointError where that state is damaged.
        """
        self.ranks = Ranks()
        self.head, self.source, self.config, self.folder = head, source, config, folder
        self.progress = progress if self.ranks.is_first else silent
        self.device = next(head.parameters()).device
        self.weights: dict[str, Tensor] = dict(head.trained_parameters())
        self.average = MovingAverage(self.weights, config.average_power)
        self.step = 0
        self._stopwatch = Stopwatch(self.device)
        self._optimizer = build_optimizer(head.trained_parameters(), config, self.device)
        self._forward: Forward | None = None
        self._has_dropout = any(isinstance(part, torch.nn.Dropout) and part.p > 0 for part in head.modules())
        self._diffusion = Diffusion(head.prediction_type, self.device)
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

    def run(self, validate: Validate | None = None) -> None:
        """Trains to the last step.

        Args:
            validate: called at every training checkpoint, the last step included, with the average in the head.

        Raises:
            TrainingError: a loss or its gradient is not finite; the batch has been saved.
            KeyboardInterrupt: on SIGINT, SIGTERM or SIGHUP, after saving.
        """
        torch.set_num_threads(self.config.threads or available_threads())
        self.progress(self.step, self.config.steps)
        metrics = None
        if self.ranks.is_first:
            metrics = MetricsLog(self.folder.path, self.step, self.config.tensorboard)
        try:
            with Interruption() as interruption:
                self._run(metrics, interruption, validate)
        finally:
            if metrics is not None:
                metrics.close()

    def _run(self, metrics: MetricsLog | None, interruption: Interruption, validate: Validate | None) -> None:
        steps, log_every, save_every = self.config.steps, self.config.log_every, self.config.checkpoint_every
        self.head.train()
        meter = _Meter()
        while self.step < steps:
            self._stopwatch.start()
            batch = self._next_batch(interruption)
            meter.data_arrived()
            self._losses.add(self.gradient_step(batch), batch)
            self.step += 1
            last = self.step == steps
            if last or self.step % log_every == 0:
                self._log(metrics, meter)
            saves = last or self.step % save_every == 0
            if saves:
                # Weights after a bad step are neither saved nor measured.
                self._losses.read(self.step, self.folder.path)
            if saves and validate is not None and metrics is not None:
                metrics.write({"step": self.step, **self._validated(validate)})
            meter.step_ended()
            interrupted = self.ranks.any(interruption.requested)
            if saves or interrupted:
                self._save()
                # Ranks must also agree on what came while the first of them saved.
                interrupted = self.ranks.any(interruption.requested)
            if interrupted and not last:
                raise KeyboardInterrupt

    def _next_batch(self, interruption: Interruption) -> Batch:
        def tell(text: str) -> None:
            self._stopwatch.stop()
            self.progress(self.step, self.config.steps, text)

        place = self.source.state()
        try:
            with interruption.waiting():
                batch = self.source.next(tell)
        except KeyboardInterrupt:
            # The signal may have come after the source moved on, even after it gave the batch.
            self.source.restore(place)
            self._save()
            raise
        self._stopwatch.start()
        return batch

    def gradient_step(self, batch: Batch) -> Tensor:
        """One step of the optimizer and the average.

        Returns:
            The loss, or NaN where the gradient is not finite, on its device: reading it would make a GPU wait.
        """
        if self._forward is None:
            self._stopwatch.stop()
            self._forward = self._choose_forward(batch)
            self._stopwatch.start()
        rate = learning_rate(self.config, self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss = self._loss(batch, self._forward)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.weights.values(), self.config.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.average.update()
        return self.ranks.mean(loss.detach() + 0 * norm)

    def _loss(self, batch: Batch, forward: Forward) -> Tensor:
        noise, timesteps = (self.ranks.part(drawn) for drawn in self._draw(batch.actions))
        batch = self.ranks.share(batch)
        noisy = self._diffusion.add_noise(batch.actions, noise, timesteps)
        with autocast(self.device, self.config.precision):
            predicted = forward(noisy, timesteps, batch.condition, batch.pictures)
        return F.mse_loss(predicted.float(), self._diffusion.target(batch.actions, noise, timesteps))

    def _draw(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Noise and timesteps of this step, drawn on the CPU so that every device sees the same."""
        seed = int(philox_uint64(self.config.seed, _NOISE_STREAM, self.step, 1)[0, 0]) & 0xFFFFFFFF
        self._generator.manual_seed(seed)
        noise = torch.randn(actions.shape, generator=self._generator)
        timesteps = torch.randint(DIFFUSION_STEPS, (len(actions),), generator=self._generator)
        if self._has_dropout:
            torch.manual_seed(seed + self.ranks.rank)
        return noise.to(self.device, non_blocking=True), timesteps.to(self.device, non_blocking=True)

    def _choose_forward(self, batch: Batch) -> Forward:
        dtype = compute_dtype(self.device, self.config.precision)
        head = self.head if dtype == torch.float32 else compute_copy(self.head, dtype, self.weights.values())
        # By the whole run's length: a resumed run must compute as the uninterrupted one does.
        if not worth_compiling(self.config.compile, self.device, self.config.steps):
            return self.ranks.parallel(head)
        self.progress(self.step, self.config.steps, "compiling")
        return compiled(self.ranks.parallel(head), lambda forward: self._loss(batch, forward))

    def _log(self, metrics: MetricsLog | None, meter: "_Meter") -> None:
        losses = self._losses.read(self.step, self.folder.path)
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

    def _save(self) -> None:
        """Saves all that the rest of the run depends on. Raises TrainingError rather than save after a bad loss."""
        self._stopwatch.stop()
        if self.step == 0:
            return
        extra = {
            "step": self.step,
            "seconds": self.seconds,
            "losses": self._losses.read(self.step, self.folder.path),
            "source": self.source.state(),
        }
        if self.ranks.is_first:
            save_training_state(self.folder.training_state, self.weights, self.average, self._optimizer, extra)

    def _restore(self) -> None:
        extra = load_training_state(self.folder.training_state, self.weights, self.average, self._optimizer)
        self.step = int(extra["step"])
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
