"""Pictures in other light: what each change makes of known colours, and of which place in the order it is."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch

from shared.errors import ConfigError
from tests.trainer.example import RANGE, make_demonstrations, training
from tests.trainer.stages.test_demonstration_batches import CAMERAS, SCALING, with_pictures
from trainer.config import AdaptConfig
from trainer.data.normalization import ActionNormalizer
from trainer.stages.adaptation import Adaptation
from trainer.stages.color_jitter import changed, draw_changes
from trainer.stages.demonstration_batches import DemonstrationBatches
from trainer.training.ranks import ALONE, Ranks

JITTER = (0.3, 0.3, 0.3, 0.1)
COLORS = [[255, 0, 0], [0, 255, 0], [200, 100, 50], [10, 20, 90], [128, 128, 128], [0, 0, 0]]


def of(
    colors: list[list[int]], brightness: float = 1, contrast: float = 1, saturation: float = 1, hue: float = 0
) -> list[list[int]]:
    pictures = torch.tensor(colors, dtype=torch.uint8).view(1, 1, 1, -1, 3)
    made: list[list[int]] = changed(pictures, torch.tensor([[brightness, contrast, saturation, hue]]))[0, 0, 0].tolist()
    return made


def test_each_change_is_what_it_says() -> None:
    assert of(COLORS) == COLORS
    assert of([[200, 100, 50]], brightness=1.5) == [[255, 150, 75]]
    assert of([[200, 100, 50]], brightness=0.5) == [[100, 50, 25]]
    # About the mean grey of 60 and 180.
    assert of([[60] * 3, [180] * 3], contrast=0.5) == [[90] * 3, [150] * 3]
    # The grey of this one is 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2.
    assert of([[200, 100, 50]], saturation=0.0) == [[124] * 3]
    assert of([[200, 100, 50]], saturation=0.5) == [[162, 112, 87]]
    assert of([[255, 0, 0]], hue=1 / 3) == [[0, 255, 0]]
    for color in COLORS:
        for hue in (-0.5, -0.2, 0.05, 0.4):
            h, s, v = colorsys.rgb_to_hsv(*(number / 255 for number in color))
            expected = [round(255 * number) for number in colorsys.hsv_to_rgb((h + hue) % 1, s, v)]
            assert np.abs(np.array(of([color], hue=hue)[0]) - expected).max() <= 1


def test_changes_are_uniform_in_their_ranges_and_of_their_place() -> None:
    places = np.arange(4000)
    drawn = draw_changes((0.3, 0.2, 0.1, 0.05), 0, places, 2)
    assert drawn.shape == (4000, 2, 4)
    off = (drawn - torch.tensor([1.0, 1, 1, 0])) / torch.tensor([0.3, 0.2, 0.1, 0.05])
    assert float(off.abs().max()) <= 1
    assert float(off.mean((0, 1)).abs().max()) < 0.03
    assert float((off.std((0, 1)) - 3**-0.5).abs().max()) < 0.02
    assert torch.equal(draw_changes((0.3, 0.2, 0.1, 0.05), 0, places[700:], 2), drawn[700:])
    assert not torch.equal(drawn[:, 0], drawn[:, 1])


def windows(jitter: tuple[float, float, float, float], ranks: Ranks = ALONE) -> DemonstrationBatches:
    config = AdaptConfig(training=training(1), color_jitter=jitter, validation_windows=4)
    cpu = torch.device("cpu")
    return DemonstrationBatches(with_pictures(), ActionNormalizer(RANGE), SCALING, config, cpu, CAMERAS, ranks=ranks)


def test_pictures_of_training_are_changed_alike_wherever_it_was_stopped_and_on_every_rank() -> None:
    plain, source, again = windows((0, 0, 0, 0)), windows(JITTER), windows(JITTER)
    parts = [windows(JITTER, Ranks(rank, 2)) for rank in range(2)]
    for step in range(3):
        clean, batch = plain.next(lambda text: None), source.next(lambda text: None)
        assert torch.equal(batch.condition, clean.condition)
        changes = draw_changes(JITTER, 0, np.arange(8 * step, 8 * step + 8), 2)
        split = [part.next(lambda text: None).pictures for part in parts]
        for camera, seen in enumerate(batch.pictures):
            assert seen.dtype == torch.uint8
            assert torch.equal(seen, changed(clean.pictures[camera], changes[:, camera]))
            assert torch.equal(torch.cat([part[camera] for part in split]), seen)
    again.restore({"position": 16})
    assert torch.equal(again.next(lambda text: None).pictures[1], batch.pictures[1])
    held_out, clean_held_out = source.validation(), plain.validation()
    assert held_out is not None
    assert clean_held_out is not None
    assert torch.equal(held_out.pictures[0], clean_held_out.pictures[0])


def test_nothing_to_change_is_said() -> None:
    config = AdaptConfig("normal", training=training(1), color_jitter=JITTER)
    with pytest.raises(
        ConfigError, match="color_jitter changes pictures in training, but the demonstrations of reach have no"
    ):
        Adaptation.checked(make_demonstrations(), config, None, RANGE, None, None)
    with pytest.raises(ConfigError, match=r"the hue of color_jitter is 0\.6"):
        replace(config, color_jitter=(0.1, 0.1, 0.1, 0.6))
