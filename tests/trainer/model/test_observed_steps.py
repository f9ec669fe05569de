import pytest
import torch

from trainer.model.observed_steps import SplitSteps, join_steps


@pytest.mark.parametrize(("steps", "picture_steps"), [(3, 1), (1, 3), (2, 3), (2, 2)])
def test_a_condition_goes_step_after_step_with_what_is_seen_of_each(steps: int, picture_steps: int) -> None:
    features = 100 + torch.arange(2 * picture_steps * 4.0).view(2, picture_steps, 4)
    numbers = torch.arange(2 * steps * 3.0).view(2, steps, 3)
    parts, rows = [], []
    for ago in reversed(range(max(steps, picture_steps))):
        seen = [of[:, -1 - ago] for of in (features, numbers) if ago < of.shape[1]]
        parts += seen
        rows.append(
            torch.cat(
                [of[:, -1 - ago] if ago < of.shape[1] else torch.zeros_like(of[:, 0]) for of in (features, numbers)], 1
            )
        )
    condition = join_steps(features, numbers)
    assert torch.equal(condition, torch.cat(parts, dim=1))
    split = SplitSteps(steps, 3, picture_steps, 4)
    assert split.width == 7
    assert torch.equal(split(condition), torch.stack(rows, dim=1))


def test_of_the_same_steps_nothing_is_but_put_side_by_side() -> None:
    features, numbers = torch.randn(2, 5, 2, 4, generator=torch.Generator().manual_seed(0))
    condition = join_steps(features, numbers)
    assert torch.equal(condition, torch.cat([features, numbers], dim=-1).flatten(1))
    assert torch.equal(SplitSteps(2, 4, 2, 4)(condition), condition.view(5, 2, 8))
    # Of a policy that sees no pictures, and of one that sees nothing else.
    assert torch.equal(SplitSteps(2, 8, 2, 0)(condition), condition.view(5, 2, 8))
    assert torch.equal(join_steps(features, torch.empty(5, 2, 0)), features.flatten(1))
    assert torch.equal(join_steps(features, torch.empty(5, 3, 0)), features.flatten(1))
