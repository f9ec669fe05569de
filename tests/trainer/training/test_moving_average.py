import numpy as np
import torch

from trainer.training.moving_average import MovingAverage


def test_decay_follows_the_power_formula() -> None:
    average = MovingAverage({}, power=0.75)
    expected = [0.0, 1 - 2**-0.75, 1 - 3**-0.75, 1 - 100**-0.75]
    assert [average.decay(k) for k in (1, 2, 3, 100)] == expected
    assert average.decay(10**9) == 0.9999


def test_average_against_numpy_and_swapping() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 5)).astype(np.float32)
    weight = torch.zeros(5)
    average = MovingAverage({"w": weight}, power=0.75)
    expected = np.zeros(5)
    for k, value in enumerate(values, start=1):
        weight.copy_(torch.from_numpy(value))
        average.update()
        decay = 1 - k**-0.75
        expected = decay * expected + (1 - decay) * value
    assert np.abs(average.average["w"].numpy() - expected).max() < 1e-5
    averaged = average.average["w"].clone()
    with average.applied():
        assert torch.equal(weight, averaged)
    assert torch.equal(weight, torch.from_numpy(values[-1]))
    assert torch.equal(average.average["w"], averaged)
