"""Stage 2's batches: windows of demonstrations with the observations a policy would have had."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import TrainingError
from shared.order import IntArray, WindowSpan
from shared.philox import philox_uint64
from trainer.config import AdaptConfig, Scaling
from trainer.data.batches import Batch, RankBatch
from trainer.data.demonstrations.episode import Demonstrations, Episode
from trainer.data.motion_basis import MOST_WINDOWS
from trainer.data.normalization import ActionNormalizer
from trainer.model.observation import Camera, ObservationScaling, least_spread
from trainer.stages.pictures import EpisodePictures, Pictures
from trainer.training.ranks import ALONE, Ranks
from trainer.training.transfer import send

# Ids that no trajectory has.
_ORDER_STREAM = np.array([2**62 + 2**61], np.int64)
_NOISE_STREAM = _ORDER_STREAM + 1
_COPIES_NOISE_STREAM = _ORDER_STREAM + 2


class DemonstrationWindows:
    """A BatchSource over demonstrations, which lie on the device as one tensor; each epoch is a seeded permutation.

    A window that is acted on at t starts at t - (n_obs_steps - 1) and may reach past either end of its episode, where
    the edge step is repeated.
    """

    def __init__(
        self,
        demonstrations: Demonstrations,
        normalizer: ActionNormalizer,
        scaling: ObservationScaling,
        config: AdaptConfig,
        device: torch.device,
        cameras: Mapping[str, Camera] | None = None,
        features: NDArray[np.float32] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        """With each camera's pictures, or with the `features` (steps, width) that frozen networks made of them."""
        self._config, self._n_obs_steps = config, config.head.n_obs_steps
        self._span = WindowSpan(config.head.horizon, config.head.n_obs_steps - 1, config.head.n_action_steps - 1)
        episodes = demonstrations.episodes
        actions = normalizer.normalize(np.concatenate([episode.actions for episode in episodes]))
        observations = np.concatenate([joined_observations(demonstrations, episode) for episode in episodes])
        self._actions = torch.from_numpy(actions).to(device)
        scaled = scaling.apply(torch.from_numpy(observations).to(device))
        seen = [] if features is None else [torch.from_numpy(features).to(device)]
        self._observations, self._low_dim = torch.cat([*seen, scaled], dim=1) if seen else scaled, scaled.shape[1]
        self._pictures = [EpisodePictures(episodes, name, camera) for name, camera in (cameras or {}).items()]
        self._device, self._ranks = device, ranks
        # Pictures are cropped on the CPU: asking a GPU which ones would make it wait at every step.
        self._training_steps = self._window_steps(episodes, held_out=False)
        self._held_out_steps = self._window_steps(episodes, held_out=True)
        self._training = torch.from_numpy(self._training_steps).to(device)
        self._position = 0
        self._permutation: tuple[int, IntArray, Tensor] | None = None
        self._cropping = ThreadPoolExecutor(1, "cropping")
        self._ahead: tuple[int, Future[list[Pictures]]] | None = None

    def next(self, tell: Callable[[str], None]) -> Batch | RankBatch:
        """The next batch, with pictures this rank's part of it; a batch may span two epochs."""
        size = self._config.training.batch_size
        chosen, on_device = self._order_at(self._position)
        steps = self._training[on_device]
        observations, crops = self._seen(steps), self._crops_at(self._position, chosen)
        # All in one copy.
        noise = self._noise(observations.shape)
        sent = send(self._device, *noise, *crops)
        for added in sent[: len(noise)]:
            observations = observations + added
        batch: Batch | RankBatch = Batch(self._actions[steps], observations.flatten(1))
        if crops:
            batch = self._ranks.share(batch)._replace(pictures=sent[len(noise) :])
        self._position += size
        return batch

    def validation(self) -> Batch | None:
        """Windows of held-out episodes, evenly spread over them; None where no episode is held out."""
        count = min(self._config.validation_windows, len(self._held_out_steps))
        if not count:
            return None
        shown = self._held_out_steps[_spread(len(self._held_out_steps), count)]
        crops = [torch.from_numpy(one.center_crops(shown[:, : self._n_obs_steps])) for one in self._pictures]
        steps = torch.from_numpy(shown).to(self._device)
        return Batch(self._actions[steps], self._seen(steps).flatten(1), send(self._device, *crops))

    def motion_windows(self, most: int = MOST_WINDOWS) -> NDArray[np.float32]:
        """Normalized actions of up to `most` training windows, evenly spread, (n, horizon, action_dim)."""
        chosen = self._training_steps[_spread(len(self._training_steps), min(most, len(self._training_steps)))]
        return self._actions[torch.from_numpy(chosen).to(self._device)].cpu().numpy()

    def state(self) -> dict[str, Any]:
        """Windows given so far."""
        return {"position": self._position}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        self._position = int(state["position"])

    def _seen(self, steps: Tensor) -> Tensor:
        return self._observations[steps[:, : self._n_obs_steps]]

    def _noise(self, shape: torch.Size) -> list[Tensor]:
        """What is added to the observations at this place in the order, where something is."""
        if not self._config.observation_noise:
            return []
        noise = observation_noise(self._config, shape, self._position)
        # What networks made of pictures comes first, and has none.
        noise[..., : noise.shape[-1] - self._low_dim] = 0
        return [noise]

    def _crops_at(self, position: int, chosen: IntArray) -> list[Tensor]:
        """This rank's crops of the batch at a place; those of the next are begun, and made beside the step."""
        if not self._pictures:
            return []
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == position:
            crops = ahead[1].result()
        else:
            crops = self._random_crops(position, chosen)
        later = position + len(chosen)
        self._ahead = later, self._cropping.submit(self._random_crops, later, self._order_at(later)[0])
        return [torch.from_numpy(one) for one in crops]

    def _random_crops(self, position: int, chosen: IntArray) -> list[Pictures]:
        """Of each camera, crops that depend on the samples' places in the order."""
        steps = self._ranks.part(self._training_steps[chosen])[:, : self._n_obs_steps]
        places, seed = self._ranks.part(np.arange(position, position + len(chosen))), self._config.training.seed
        return [one.random_crops(steps, seed, places, camera) for camera, one in enumerate(self._pictures)]

    def _order_at(self, position: int) -> tuple[IntArray, Tensor]:
        """Which windows the batch at a place has, in the CPU's memory and on the device."""
        count, size = len(self._training_steps), self._config.training.batch_size
        parts, end = list[tuple[IntArray, Tensor]](), position + size
        while position < end:
            epoch, place = divmod(position, count)
            chosen, on_device = (order[place : place + end - position] for order in self._permuted(epoch))
            parts.append((chosen, on_device))
            position += len(chosen)
        return np.concatenate([chosen for chosen, _ in parts]), torch.cat([on_device for _, on_device in parts])

    def _permuted(self, epoch: int) -> tuple[IntArray, Tensor]:
        """The order of an epoch, in the CPU's memory and on the device."""
        if self._permutation is None or self._permutation[0] != epoch:
            keys = philox_uint64(self._config.training.seed, _ORDER_STREAM, epoch, len(self._training_steps))[0]
            order = np.argsort(keys, kind="stable")
            self._permutation = epoch, order, torch.from_numpy(order).to(self._device)
        return self._permutation[1:]

    def _window_steps(self, episodes: Sequence[Episode], *, held_out: bool) -> IntArray:
        """Steps of every window in the joined tensors, (windows, horizon)."""
        begin, parts = 0, [np.empty((0, self._span.horizon), np.int64)]
        for episode in episodes:
            length = len(episode.actions)
            if episode.validation == held_out:
                first, last = self._span.bounds(np.array([length], np.int64))
                starts: IntArray = np.arange(first[0], last[0] + 1)
                inside = np.clip(starts[:, None] + np.arange(self._span.horizon), 0, length - 1)
                parts.append(begin + inside)
            begin += length
        return np.concatenate(parts)


def _spread(count: int, wanted: int) -> IntArray:
    """So many of `count` places, evenly spread, the first and the last among them."""
    places: IntArray = torch.linspace(0, count - 1, wanted).round().long().numpy()
    return places


def observation_noise(config: AdaptConfig, shape: torch.Size, place: int, *, of_copies: bool = False) -> Tensor:
    """Noise for scaled observations of this shape, a function of the batch's place in the order."""
    stream = _COPIES_NOISE_STREAM if of_copies else _NOISE_STREAM
    seed = int(philox_uint64(config.training.seed, stream, place, 1)[0, 0]) & 0xFFFFFFFF
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * config.observation_noise


def joined_observations(demonstrations: Demonstrations, episode: Episode) -> NDArray[np.float32]:
    """An episode's low-dimensional observations (T, obs_dim), its keys joined in their order."""
    parts = [episode.observations[key] for key in demonstrations.observation_widths]
    return np.concatenate(parts, axis=-1) if parts else np.zeros((len(episode.actions), 0), np.float32)


def observation_scaling(demonstrations: Demonstrations, kind: Scaling) -> ObservationScaling:
    """Statistics of the training episodes. Raises TrainingError where all are held out."""
    training = [joined_observations(demonstrations, e) for e in demonstrations.episodes if not e.validation]
    if not training:
        raise TrainingError("every demonstration is held out; collect more of them")
    least = least_spread(demonstrations.observation_widths)
    return ObservationScaling.from_samples(np.concatenate(training), kind, least)


def fingerprint(demonstrations: Demonstrations) -> dict[str, Any]:
    """What config.json remembers of the demonstrations."""
    digest = hashlib.sha256()
    for episode in demonstrations.episodes:
        digest.update(np.ascontiguousarray(episode.actions).tobytes())
        digest.update(joined_observations(demonstrations, episode).tobytes())
        for seen in episode.images.values():
            # All of them would be gigabytes to read.
            digest.update(seen.at(np.linspace(0, len(seen.rows) - 1, 3).astype(np.int64)).tobytes())
    return {
        "task": demonstrations.task,
        "robot": demonstrations.robot,
        "rate_hz": demonstrations.rate_hz,
        "action_label": demonstrations.action_label,
        "demonstrations": demonstrations.number,
        "sha256": digest.hexdigest(),
    }
