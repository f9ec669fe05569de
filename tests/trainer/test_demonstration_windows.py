import numpy as np
import torch

from tests.trainer.example import RANGE, make_demonstrations, training
from trainer.config import AdaptConfig
from trainer.demonstration_windows import DemonstrationWindows, fingerprint, joined_observations, observation_scaling
from trainer.demonstrations.episode import Episode
from trainer.normalization import ActionNormalizer

DEMONSTRATIONS = make_demonstrations(6)
SCALING = observation_scaling(DEMONSTRATIONS, "min_max")
TRAINED = [episode for episode in DEMONSTRATIONS.episodes if not episode.validation]


def make_windows(batch: int = 8) -> DemonstrationWindows:
    config = AdaptConfig(training=training(1, batch_size=batch), validation_windows=10)
    return DemonstrationWindows(DEMONSTRATIONS, ActionNormalizer(RANGE), SCALING, config, torch.device("cpu"))


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
        given = {(a.numpy().tobytes(), c.numpy().tobytes()) for a, c in zip(*batch, strict=True)}
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
