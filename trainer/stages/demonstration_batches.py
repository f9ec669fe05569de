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
from shared.plain_sum import plain_sum
from trainer.config import AdaptConfig, Scaling
from trainer.data.batch_source import Batch, RankBatch
from trainer.data.demonstrations.episode import Demonstrations, Episode, joined_observations
from trainer.data.motion_basis import MOST_WINDOWS
from trainer.data.normalization import ActionNormalizer
from trainer.data.relative_actions import relative
from trainer.data.shares import windows_of_each
from trainer.model.observation import Camera, ObservationScaling, least_spread
from trainer.model.observed_steps import join_steps
from trainer.stages.color_jitter import changed, draw_changes
from trainer.stages.pictures import EpisodePictures, Pictures
from trainer.stages.relative_windows import observed_states
from trainer.stages.window_order import ORDER_STREAM, WindowOrder
from trainer.training.ranks import ALONE, Ranks
from trainer.training.to_device import send

_NOISE_STREAM = ORDER_STREAM + 1
_COPIES_NOISE_STREAM = ORDER_STREAM + 2


class DemonstrationBatches:
    """A BatchSource over demonstrations, which lie on the device as one tensor, in the order of `WindowOrder`.

    A window that is acted on at t starts at t - (n_obs_steps - 1) and may reach past either end of its episode, where
    the edge step is repeated. Pictures are seen of the n_picture_steps up to t, be these fewer or more.
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
        self._config = config
        self._span = WindowSpan(config.head.horizon, config.head.n_obs_steps - 1, config.head.n_action_steps - 1)
        # What of a window's steps is for what: they begin where the longer of the two histories does.
        self._earlier = max(config.picture_steps - config.head.n_obs_steps, 0)
        now = self._earlier + config.head.n_obs_steps
        self._observed, self._pictured = slice(self._earlier, now), slice(now - config.picture_steps, now)
        episodes = demonstrations.episodes
        actions = np.concatenate([episode.actions for episode in episodes])
        self._states: Tensor | None = None
        if config.head.relative_actions:
            states = np.concatenate([observed_states(demonstrations, episode) for episode in episodes])
            self._states = torch.from_numpy(states).to(device)
            self._center, self._scale = (torch.from_numpy(one).to(device) for one in normalizer.affine())
        else:
            actions = normalizer.normalize(actions)
        observations = np.concatenate([joined_observations(demonstrations, episode) for episode in episodes])
        self._actions = torch.from_numpy(actions).to(device)
        self._observations = scaling.apply(torch.from_numpy(observations).to(device))
        self._features = None if features is None else torch.from_numpy(features).to(device)
        self._pictures = [EpisodePictures(episodes, name, camera) for name, camera in (cameras or {}).items()]
        self._device, self._ranks = device, ranks
        # Pictures are cropped on the CPU: asking a GPU which ones would make it wait at every step.
        self._shares = demonstrations.shares
        training, self._held_out_steps = (self._window_steps(episodes, held_out=which) for which in (False, True))
        self._training_of_sets, self._training_steps = training, np.concatenate(training)
        self._training = torch.from_numpy(self._training_steps).to(device)
        self._position = 0
        self._order = WindowOrder([len(own) for own in training], self._shares, config.training.seed, device)
        self._cropping = ThreadPoolExecutor(1, "cropping")
        self._ahead: tuple[int, Future[list[Pictures]]] | None = None

    def next(self, tell: Callable[[str], None]) -> Batch | RankBatch:
        """The next batch, with pictures this rank's part of it; a batch may span two passes."""
        size = self._config.training.batch_size
        chosen, on_device = self._order.at(self._position, size)
        steps = self._training[on_device]
        crops = self._crops_at(self._position, chosen)
        # All in one copy.
        noise, changes = self._noise(size), self._color_changes(size)
        sent = send(self._device, *noise, *changes, *crops)
        batch: Batch | RankBatch = Batch(self._windows(steps), self._seen(steps, *sent[: len(noise)]))
        if crops:
            pictures = sent[len(noise) + len(changes) :]
            for change in sent[len(noise) :][: len(changes)]:
                pictures = tuple(changed(seen, change[:, camera]) for camera, seen in enumerate(pictures))
            batch = self._ranks.share(batch)._replace(pictures=pictures)
        self._position += size
        return batch

    def validation(self) -> Batch | None:
        """Windows of held-out episodes, evenly spread over those of each set; None where no episode is held out."""
        shown = np.concatenate(self._shown())
        if not len(shown):
            return None
        crops = [torch.from_numpy(one.center_crops(shown[:, self._pictured])) for one in self._pictures]
        steps = torch.from_numpy(shown).to(self._device)
        return Batch(self._windows(steps), self._seen(steps), send(self._device, *crops))

    def held_out_sets(self) -> dict[str, slice]:
        """Which windows of `validation` are of which set, where there are several and it has some."""
        ends = np.cumsum([0, *map(len, self._shown())]).tolist()
        parts = {f"set_{number + 1}": slice(*ends[number : number + 2]) for number in range(len(self._shares))}
        return {name: part for name, part in parts.items() if part.stop > part.start and len(parts) > 1}

    def _shown(self) -> list[IntArray]:
        """Steps of the held-out windows that are shown of each set, by its share."""
        shares = [share * bool(len(own)) for share, own in zip(self._shares, self._held_out_steps, strict=True)]
        if not any(shares):
            return self._held_out_steps
        counts = windows_of_each([share / plain_sum(shares) for share in shares], 0, self._config.validation_windows)
        return [_spread(own, int(count)) for own, count in zip(self._held_out_steps, counts, strict=True)]

    def motion_windows(self, most: int = MOST_WINDOWS) -> NDArray[np.float32]:
        """Normalized actions of up to `most` training windows, evenly spread, of each set by its share.

        Shape (n, horizon, action_dim).
        """
        counts = windows_of_each(self._shares, 0, min(most, len(self._training_steps)))
        pairs = zip(self._training_of_sets, counts, strict=True)
        chosen = np.concatenate([_spread(own, int(count)) for own, count in pairs])
        return self._windows(torch.from_numpy(chosen).to(self._device)).cpu().numpy()

    def state(self) -> dict[str, Any]:
        """Windows given so far."""
        return {"position": self._position}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        self._position = int(state["position"])

    def _windows(self, steps: Tensor) -> Tensor:
        """Normalized actions (n, horizon) of windows; relative ones to what was observed at their current step."""
        actions = self._actions[steps[:, self._earlier :]]
        if self._states is None:
            return actions
        now = self._states[steps[:, self._observed.stop - 1]]
        return (relative(actions, now, self._config.head.action) - self._center) / self._scale

    def _seen(self, steps: Tensor, noise: Tensor | None = None) -> Tensor:
        """The condition of windows' steps; what networks made of pictures has no noise."""
        observations = self._observations[steps[:, self._observed]]
        if noise is not None:
            observations = observations + noise
        if self._features is None:
            return observations.flatten(1)
        return join_steps(self._features[steps[:, self._pictured]], observations)

    def _noise(self, size: int) -> list[Tensor]:
        """What is added to the observations at this place in the order, where something is."""
        if not self._config.observation_noise:
            return []
        width = self._observations.shape[1]
        drawn = width if self._features is None else width + self._features.shape[1]
        shape = torch.Size((size, self._config.head.n_obs_steps, drawn))
        return [observation_noise(self._config, shape, self._position)[..., drawn - width :]]

    def _color_changes(self, size: int) -> list[Tensor]:
        """What is changed of this rank's pictures at this place in the order, where something is."""
        ranges, seed = self._config.color_jitter, self._config.training.seed
        if not self._pictures or not any(ranges):
            return []
        places = self._ranks.part(np.arange(self._position, self._position + size))
        return [draw_changes(ranges, seed, places, len(self._pictures))]

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
        self._ahead = later, self._cropping.submit(self._random_crops, later, self._order.at(later, len(chosen))[0])
        return [torch.from_numpy(one) for one in crops]

    def _random_crops(self, position: int, chosen: IntArray) -> list[Pictures]:
        """Crops of each camera's pictures, which depend on the samples' places in the order."""
        steps = self._ranks.part(self._training_steps[chosen])[:, self._pictured]
        places, seed = self._ranks.part(np.arange(position, position + len(chosen))), self._config.training.seed
        return [one.random_crops(steps, seed, places, camera) for camera, one in enumerate(self._pictures)]

    def _window_steps(self, episodes: Sequence[Episode], *, held_out: bool) -> list[IntArray]:
        """For each set, the steps of every window in the joined tensors, (windows, steps)."""
        of_window = np.arange(-self._earlier, self._span.horizon)
        begin, parts = 0, [[np.empty((0, len(of_window)), np.int64)] for _ in self._shares]
        for episode in episodes:
            length = len(episode.actions)
            if episode.validation == held_out:
                first, last = self._span.bounds(np.array([length], np.int64))
                starts: IntArray = np.arange(first[0], last[0] + 1)
                inside = np.clip(starts[:, None] + of_window, 0, length - 1)
                parts[episode.set_number].append(begin + inside)
            begin += length
        return [np.concatenate(own) for own in parts]


def _spread(windows: IntArray, wanted: int) -> IntArray:
    """So many of some windows, or all, evenly spread, the first and the last among them."""
    places = torch.linspace(0, len(windows) - 1, min(wanted, len(windows))).round().long().numpy()
    chosen: IntArray = windows[places]
    return chosen


def observation_noise(config: AdaptConfig, shape: torch.Size, place: int, *, of_copies: bool = False) -> Tensor:
    """Noise for scaled observations of this shape, a function of the batch's place in the order."""
    stream = _COPIES_NOISE_STREAM if of_copies else _NOISE_STREAM
    seed = int(philox_uint64(config.training.seed, stream, place, 1)[0, 0]) & 0xFFFFFFFF
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * config.observation_noise


def observation_scaling(demonstrations: Demonstrations, kind: Scaling) -> ObservationScaling:
    """Statistics of the training episodes; of several sets, the range of all, or mean and spread of the mixture.

    Raises TrainingError where all of them, or all of a set, are held out.
    """
    training = [e for e in demonstrations.episodes if not e.validation]
    if not training:
        raise TrainingError("every demonstration is held out; collect more of them")
    least = least_spread(demonstrations.observation_widths)
    samples = np.concatenate([joined_observations(demonstrations, episode) for episode in training])
    return ObservationScaling.from_samples(samples, kind, least, _step_weights(demonstrations, training))


def _step_weights(demonstrations: Demonstrations, training: Sequence[Episode]) -> NDArray[np.float64] | None:
    """What each step of the training episodes counts, by its set's share, (steps,); None where there is one set."""
    if not demonstrations.sets:
        return None
    of = np.repeat([e.set_number for e in training], [len(e.actions) for e in training])
    counts = np.bincount(of, minlength=len(demonstrations.sets))
    if not counts.all():
        empty = demonstrations.sets[int(np.argmin(counts))]
        raise TrainingError(f"{empty.path} has no demonstration to train on that could have its share; leave it out")
    weights: NDArray[np.float64] = (np.array(demonstrations.shares) / counts)[of]
    return weights


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
        **({"sets": _sets(demonstrations)} if demonstrations.sets else {}),
    }


def _sets(demonstrations: Demonstrations) -> list[dict[str, Any]]:
    """Not by their paths: files may move."""
    counts = np.bincount([episode.set_number for episode in demonstrations.episodes])
    return [
        {"task": one.task, "share": one.share, "episodes": int(count)}
        for one, count in zip(demonstrations.sets, counts, strict=True)
    ]
