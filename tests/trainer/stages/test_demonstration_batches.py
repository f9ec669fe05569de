from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainer.example import RANGE, make_demonstrations, training
from trainer.config import AdaptConfig, HeadConfig
from trainer.data.batch_source import Batch, RankBatch
from trainer.data.demonstrations.episode import Demonstrations, Episode, Images, joined_observations
from trainer.data.normalization import ActionNormalizer
from trainer.model.observation import Camera
from trainer.model.observed_steps import join_steps
from trainer.stages.demonstration_batches import (
    DemonstrationBatches,
    fingerprint,
    observation_scaling,
)
from trainer.stages.pictures import EpisodePictures, IntArray, Pictures
from trainer.training.ranks import ALONE, Ranks

DEMONSTRATIONS = make_demonstrations(6)
SCALING = observation_scaling(DEMONSTRATIONS, "min_max")
TRAINED = [episode for episode in DEMONSTRATIONS.episodes if not episode.validation]


def make_windows(batch: int = 8) -> DemonstrationBatches:
    config = AdaptConfig(training=training(1, batch_size=batch), validation_windows=10)
    return DemonstrationBatches(DEMONSTRATIONS, ActionNormalizer(RANGE), SCALING, config, torch.device("cpu"))


def expected_windows(episode: Episode) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every t: actions t-1 to t+14, observations at t-1 and t; edges repeated, at the end at most 7 times."""
    actions, observations = (
        ActionNormalizer(RANGE).normalize(episode.actions),
        joined_observations(DEMONSTRATIONS, episode),
    )
    scaled = (observations - SCALING.center) * SCALING.scale
    length = len(actions)
    windows = []
    for t in range(length - 7):
        steps = np.clip(np.arange(t - 1, t + 15), 0, length - 1)
        windows.append((actions[steps], scaled[np.clip([t - 1, t], 0, length - 1)].reshape(-1)))
    return windows


def test_an_epoch_is_every_window_once() -> None:
    expected = [window for episode in TRAINED for window in expected_windows(episode)]
    source = make_windows(len(expected))
    for _ in range(2):
        batch = source.next(lambda text: None)
        given = {(a.numpy().tobytes(), c.numpy().tobytes()) for a, c in zip(*batch[:2], strict=True)}
        assert given == {(a.tobytes(), c.astype(np.float32).tobytes()) for a, c in expected}


def test_epochs_differ_and_a_restored_place_gives_the_same() -> None:
    count = sum(len(expected_windows(episode)) for episode in TRAINED)
    whole = make_windows(count)
    first, second = whole.next(lambda text: None), whole.next(lambda text: None)
    assert not torch.equal(first.actions, second.actions)
    source = make_windows(8)
    for _ in range(20):
        source.next(lambda text: None)
    again = make_windows(8)
    again.restore(source.state())
    for _ in range(20):
        a, b = source.next(lambda text: None), again.next(lambda text: None)
        assert torch.equal(a.actions, b.actions)
        assert torch.equal(a.condition, b.condition)


def test_held_out_windows_are_of_held_out_episodes() -> None:
    held_out = [
        window for episode in DEMONSTRATIONS.episodes if episode.validation for window in expected_windows(episode)
    ]
    batch = make_windows().validation()
    assert batch is not None
    assert len(batch.actions) == 10
    known = {a.tobytes() for a, _ in held_out}
    assert all(action.numpy().tobytes() in known for action in batch.actions)


def test_the_fingerprint_sees_a_changed_action() -> None:
    other = make_demonstrations(6)
    assert fingerprint(other) == fingerprint(DEMONSTRATIONS)
    other.episodes[2].actions[3, 1] += 1e-6
    assert fingerprint(other)["sha256"] != fingerprint(DEMONSTRATIONS)["sha256"]


CAMERAS = {"front": Camera((40, 36), (38, 34)), "wrist": Camera((34, 50), (33, 45))}


def with_pictures() -> Demonstrations:
    """Demonstrations whose pictures say in every pixel which step and which place they are of."""
    episodes = []
    for index, episode in enumerate(DEMONSTRATIONS.episodes):
        images = {}
        for name, camera in CAMERAS.items():
            steps, (height, width) = len(episode.actions), camera.size
            frames = np.empty((steps, height, width, 3), np.uint8)
            frames[..., 0] = (100 * index + np.arange(steps))[:, None, None] % 251
            frames[..., 1], frames[..., 2] = np.arange(height)[:, None], np.arange(width)
            images[name] = Images(frames, np.arange(steps))
        episodes.append(replace(episode, images=images))
    sizes = {name: camera.size for name, camera in CAMERAS.items()}
    return replace(DEMONSTRATIONS, episodes=tuple(episodes), cameras=sizes)


def picture_windows(batch: int, ranks: Ranks = ALONE, seed: int = 0) -> DemonstrationBatches:
    config = AdaptConfig(training=training(1, batch_size=batch, seed=seed), validation_windows=10)
    cpu = torch.device("cpu")
    return DemonstrationBatches(with_pictures(), ActionNormalizer(RANGE), SCALING, config, cpu, CAMERAS, ranks=ranks)


def test_pictures_are_of_the_observed_steps_wherever_they_are_cropped() -> None:
    plain, seeing = make_windows(16), picture_windows(16)
    target = np.concatenate([joined_observations(DEMONSTRATIONS, episode) for episode in DEMONSTRATIONS.episodes])
    marks = np.concatenate([100 * i + np.arange(len(e.actions)) for i, e in enumerate(DEMONSTRATIONS.episodes)]) % 251
    scaled = torch.from_numpy((target - SCALING.center) * SCALING.scale)
    for _ in range(5):
        a, b = plain.next(lambda text: None), seeing.next(lambda text: None)
        assert torch.equal(a.actions, b.actions)
        assert torch.equal(a.condition, b.condition)
        observed = b.condition.view(16, 2, -1)
        # The step of the demonstrations whose observation it is: the mark that the pictures must have.
        steps = (observed[:, :, None] - scaled).abs().sum(-1).argmin(-1)
        for (name, camera), pictures in zip(CAMERAS.items(), b.pictures, strict=True):
            assert pictures.shape == (16, 2, *camera.crop, 3), name
            assert torch.equal(pictures[..., 0, 0, 0].long(), torch.from_numpy(marks)[steps].long())
            top, left = pictures[..., 0, 0, 1].long(), pictures[..., 0, 0, 2].long()
            rows = top[..., None] + torch.arange(camera.crop[0])
            columns = left[..., None] + torch.arange(camera.crop[1])
            assert torch.equal(pictures[..., 0, 1].long(), rows)
            assert torch.equal(pictures[..., 0, :, 2].long(), columns)


class Watched:
    """Pictures of an episode's steps, and which of them were taken."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames, self.taken = frames, list[int]()

    def __getitem__(self, place: tuple[int, slice, slice]) -> np.ndarray:
        self.taken.append(int(place[0]))
        return self.frames[place]


@pytest.mark.parametrize(("steps", "picture_steps"), [(3, 1), (1, 3)])
def test_pictures_have_a_history_of_their_own(steps: int, picture_steps: int) -> None:
    head = HeadConfig(n_obs_steps=steps)
    config = AdaptConfig(head=head, training=training(1, batch_size=16), n_picture_steps=picture_steps)
    parts = ActionNormalizer(RANGE), SCALING, config, torch.device("cpu")
    blind = DemonstrationBatches(DEMONSTRATIONS, *parts)
    shown, frames = with_pictures(), list[Watched]()
    for episode in shown.episodes:
        for name, images in episode.images.items():
            frames.append(Watched(images.frames))
            watched = replace(images, frames=frames[-1])  # type: ignore[arg-type]
            episode.images[name] = watched  # type: ignore[index]
    seeing = DemonstrationBatches(shown, *parts, CAMERAS)
    # Features that frozen networks made: the place of the step among all, and nothing.
    count = sum(len(episode.actions) for episode in shown.episodes)
    kept = np.stack([np.arange(count), np.zeros(count)], axis=1).astype(np.float32)
    featured = DemonstrationBatches(DEMONSTRATIONS, *parts, features=kept)
    first = np.concatenate([np.full(len(e.actions), n) for n, e in enumerate(DEMONSTRATIONS.episodes)])
    begins = np.searchsorted(first, first)
    marks = (100 * first + np.arange(count) - begins) % 251
    scaled = np.concatenate([joined_observations(DEMONSTRATIONS, e) for e in DEMONSTRATIONS.episodes])
    scaled = ((scaled - SCALING.center) * SCALING.scale).astype(np.float32)
    sources = [blind, seeing, featured]
    batches: list[list[Batch | RankBatch | None]] = []
    batches += ([source.next(lambda text: None) for source in sources] for _ in range(4))
    for source in sources:
        source._cropping.shutdown()
    # Of two cameras no more than is seen, once for each of these batches and for the one that is made ahead.
    assert sum(len(one.taken) for one in frames) == 5 * 2 * 16 * picture_steps
    batches.append([source.validation() for source in sources])
    for plain, pictured, joined in batches:
        assert plain is not None
        assert pictured is not None
        assert joined is not None
        assert torch.equal(plain.actions, pictured.actions)
        assert torch.equal(plain.actions, joined.actions)
        assert torch.equal(plain.condition, pictured.condition)
        now = plain.condition.view(len(plain.actions), steps, 9)[:, -1].numpy()
        # The step that is acted on, and those before it in its episode.
        at = np.abs(now[:, None] - scaled).sum(-1).argmin(-1)
        back = np.maximum(at[:, None] - np.arange(max(steps, picture_steps))[::-1], begins[at][:, None])
        assert torch.equal(plain.condition, torch.from_numpy(scaled[back[:, -steps:]]).flatten(1))
        seen = torch.from_numpy(kept[back[:, -picture_steps:]])
        assert torch.equal(joined.condition, join_steps(seen, plain.condition.view(-1, steps, 9)))
        for (name, camera), crops in zip(CAMERAS.items(), pictured.pictures, strict=True):
            assert crops.shape == (len(at), picture_steps, *camera.crop, 3), name
            assert np.array_equal(crops[..., 0, 0, 0].numpy(), marks[back[:, -picture_steps:]])


def test_crops_depend_on_seed_and_place_alone() -> None:
    def corners(source: DemonstrationBatches, batches: int) -> torch.Tensor:
        taken = [source.next(lambda text: None).pictures for _ in range(batches)]
        return torch.cat([torch.stack([one[..., 0, 0, 1:] for one in pictures], 1) for pictures in taken])

    whole = corners(picture_windows(24), 20)
    assert torch.equal(corners(picture_windows(8), 60), whole)
    assert not torch.equal(corners(picture_windows(24, seed=1), 20), whole)
    resumed, first = picture_windows(24), picture_windows(24)
    corners(first, 7)
    resumed.restore(first.state())
    assert torch.equal(corners(resumed, 13), whole[7 * 24 :])
    # Uniform over every corner, and different for the two cameras and for the two steps of a window.
    for index, camera in enumerate(CAMERAS.values()):
        for axis in range(2):
            room = camera.size[axis] - camera.crop[axis] + 1
            counts = torch.bincount(whole[:, index, :, axis].flatten().long(), minlength=room)
            assert len(counts) == room
            expected = 20 * 24 * 2 / room
            assert ((counts - expected).abs() < 5 * expected**0.5).all()
    assert (whole[:, 0, 0] != whole[:, 0, 1]).any(-1).float().mean() > 0.7


def test_each_rank_crops_its_own_part_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = picture_windows(8)
    parts = [picture_windows(8, Ranks(rank, 2)) for rank in range(2)]
    cropped: list[int] = []
    crops = EpisodePictures.random_crops

    def counted(pictures: EpisodePictures, steps: IntArray, seed: int, places: IntArray, camera: int) -> Pictures:
        cropped.append(len(steps))
        return crops(pictures, steps, seed, places, camera)

    monkeypatch.setattr(EpisodePictures, "random_crops", counted)
    for _ in range(3):
        expected = whole.next(lambda text: None)
        given = [source.next(lambda text: None) for source in parts]
        assert all(isinstance(batch, RankBatch) for batch in given)
        assert torch.equal(torch.cat([batch.actions for batch in given]), expected.actions)
        assert torch.equal(torch.cat([batch.condition for batch in given]), expected.condition)
        for camera, pictures in enumerate(expected.pictures):
            assert torch.equal(torch.cat([batch.pictures[camera] for batch in given]), pictures)
    for source in (whole, *parts):
        source._cropping.shutdown()
    # Of two cameras, and once more ahead.
    assert sorted(cropped) == [4] * 2 * 2 * 4 + [8] * 2 * 4
    # What is a rank's own already, is not shared again; what is whole, is.
    assert Ranks(1, 2).share(given[1]) is given[1]
    shared = Ranks(1, 2).share(Batch(*expected))
    assert all(torch.equal(*pair) for pair in zip(shared[:2], given[1][:2], strict=True))
    assert torch.equal(shared.pictures[0], given[1].pictures[0])
    held_out, all_held_out = parts[1].validation(), whole.validation()
    assert held_out is not None
    assert all_held_out is not None
    assert torch.equal(held_out.pictures[1], all_held_out.pictures[1])


def test_crops_of_the_next_batch_are_made_beside_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, ahead = picture_windows(8), picture_windows(8)
    for source in (plain, ahead):
        source.next(lambda text: None)
        source._cropping.submit(int).result()
    expected = plain.next(lambda text: None)

    def fail(*arguments: object) -> None:
        raise RuntimeError("cropped in the step")

    with monkeypatch.context() as patch:
        patch.setattr(EpisodePictures, "random_crops", fail)
        given = ahead.next(lambda text: None)
        assert all(torch.equal(*pair) for pair in zip(given.pictures, expected.pictures, strict=True))
        assert torch.equal(given.actions, expected.actions)
        # What goes wrong there is told where the batch is wanted.
        with pytest.raises(RuntimeError, match="cropped in the step"):
            ahead.next(lambda text: None)
    # Elsewhere in the order, what was made ahead is not taken.
    for source in (plain, ahead):
        source.restore({"position": 3})
    assert torch.equal(ahead.next(lambda text: None).pictures[0], plain.next(lambda text: None).pictures[0])


def test_held_out_windows_show_the_middle() -> None:
    held_out = picture_windows(8).validation()
    assert held_out is not None
    for camera, pictures in zip(CAMERAS.values(), held_out.pictures, strict=True):
        assert (pictures[..., 0, 0, 1] == (camera.size[0] - camera.crop[0]) // 2).all()
        assert (pictures[..., 0, 0, 2] == (camera.size[1] - camera.crop[1]) // 2).all()


def test_other_pictures_have_another_fingerprint() -> None:
    before = fingerprint(with_pictures())
    assert fingerprint(with_pictures()) == before != fingerprint(DEMONSTRATIONS)
    changed = with_pictures()
    changed.episodes[0].images["wrist"].frames[0] += 1
    assert fingerprint(changed)["sha256"] != before["sha256"]


def noisy_windows(noise: float, seed: int = 0, features: np.ndarray | None = None) -> DemonstrationBatches:
    config = AdaptConfig(training=training(1, batch_size=32, seed=seed), observation_noise=noise)
    cpu = torch.device("cpu")
    return DemonstrationBatches(DEMONSTRATIONS, ActionNormalizer(RANGE), SCALING, config, cpu, features=features)


def test_observations_are_seen_with_noise_of_their_place_in_the_order() -> None:
    plain, source, again = noisy_windows(0.0), noisy_windows(0.1), noisy_windows(0.1)
    added = []
    for _ in range(40):
        clean, batch = plain.next(lambda text: None), source.next(lambda text: None)
        assert torch.equal(batch.actions, clean.actions)
        added.append(batch.condition - clean.condition)
    noise = torch.cat(added)
    assert abs(float(noise.mean())) < 0.002
    assert abs(float(noise.std()) - 0.1) < 0.002
    assert abs(float((noise[:, 0] * noise[:, 9]).mean())) < 0.001
    # No two batches have the same, and a resumed run has those of the uninterrupted one.
    assert not torch.equal(added[0], added[1])
    again.restore({"position": 32 * 39})
    assert torch.equal(again.next(lambda text: None).condition, batch.condition)
    held_out, clean_held_out = source.validation(), plain.validation()
    assert held_out is not None
    assert clean_held_out is not None
    assert torch.equal(held_out.condition, clean_held_out.condition)


def test_what_networks_made_of_pictures_has_no_noise() -> None:
    steps = sum(len(episode.actions) for episode in DEMONSTRATIONS.episodes)
    features = np.random.default_rng(0).normal(size=(steps, 3)).astype(np.float32)
    plain, source = noisy_windows(0.0, features=features), noisy_windows(0.1, features=features)
    clean, batch = plain.next(lambda text: None), source.next(lambda text: None)
    differs = (batch.condition != clean.condition).view(32, 2, 3 + 9)
    assert not differs[..., :3].any()
    assert differs[..., 3:].float().mean() > 0.99
