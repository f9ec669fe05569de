import pytest

from shared.errors import ConfigError
from trainer.recipe import presets
from trainer.recipe.summary import estimate


def test_every_preset_is_a_recipe_whose_request_asks_for_its_rows() -> None:
    for name in presets.NAMES:
        recipe = presets.recipe(name, gpu=True)
        assert recipe.name == name
        assert recipe.estimate_of is None
        request = presets.trajectory_request(recipe)
        assert (request["count"], request["shard_rows"]) == (recipe.trajectories, recipe.shard_rows)
    with pytest.raises(ConfigError, match="choose one of quick, tiny, few, tasks, hundreds, cpu, paper"):
        presets.recipe("none", gpu=True)


def test_paper_without_a_gpu_is_twenty_steps_and_an_estimate_of_the_whole() -> None:
    sample = presets.recipe("paper", gpu=False)
    full = presets.recipe("paper", gpu=True)
    assert sample.estimate_of == full
    assert sample.stage1_steps == 20
    assert [plan.steps for plan in sample.tasks] == [20]
    assert [plan.modes for plan in sample.tasks] == [plan.modes for plan in full.tasks]
    # 2 s a step of Stage 1, and 1, 2, 3, 4 s a step of the modes of one task, three seeds of each.
    stage1 = {"train_seconds": 40.0, "steps": 20}
    runs = [{"train_seconds": 20.0 * k, "steps": 20} for k in (1, 2, 3, 4)]
    seconds = 2 * 45_000 + 3 * (1 + 2 + 3 + 4) * 79_000
    assert f"{seconds // 3600} h" in estimate(sample, stage1, runs)
