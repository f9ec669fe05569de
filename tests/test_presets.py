"""What the recipe's presets ask the service for is a request that it accepts."""

import pytest

from services.synthesis.request.trajectory_request import TrajectoryRequest
from trainer.recipe import presets


@pytest.mark.parametrize("name", presets.NAMES)
def test_the_service_accepts_what_a_preset_asks_for(name: str) -> None:
    recipe = presets.recipe(name, gpu=True)
    request = TrajectoryRequest.parse(presets.trajectory_request(recipe))
    assert (request.count, request.shard_rows) == (recipe.trajectories, recipe.shard_rows)
