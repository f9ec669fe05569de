"""`python -m trainer evaluate`."""

from pathlib import Path

from tyro.conf import Positional

from trainer.progress import progress
from trainer.recipe import FIRST_ROLLOUT_SEED
from trainer.results import evaluate


def run(run: Positional[Path], task: str, episodes: int = 100, first_seed: int = FIRST_ROLLOUT_SEED) -> None:
    """Roll a trained policy out in closed loop and count successes.

    Args:
        run: run folder of Stage 2.
        task: of the simulator.
        episodes: rollouts.
        first_seed: seed of the first initial state; the same one makes policies comparable.
    """
    with progress(f"evaluate {task}") as report:
        result = evaluate(run, task, episodes, first_seed, report)
    print(f"{result['successes']} of {result['episodes']} rollouts of {task} succeeded: {run / 'result.json'}")
