"""`python -m trainer evaluate`."""

from pathlib import Path

from tyro.conf import Positional

from trainer.progress import progress
from trainer.recipe.recipe_options import FIRST_ROLLOUT_SEED
from trainer.settings import check_number


def run(
    run: Positional[Path],
    task: str,
    episodes: int = 100,
    first_seed: int = FIRST_ROLLOUT_SEED,
    directions: int | None = None,
    hold: bool = True,
) -> None:
    """Roll a trained policy out in closed loop and count successes.

    Args:
        run: run folder of Stage 2.
        task: of the simulator.
        episodes: rollouts.
        first_seed: seed of the first initial state; the same one makes policies comparable.
        directions: of the motion basis to project onto, instead of the checkpoint's number; 0 is no basis.
        hold: let each chunk go on from the last commands and one step of the chunk before, which is carried out
            meanwhile; else chunks may jump where they join.
    """
    check_number("--episodes", episodes, 1)
    check_number("--first-seed", first_seed, 0)
    check_number("--directions", directions, 0)
    from trainer.evaluation.results import evaluate, result_file
    from trainer.evaluation.rollout_motion import describe

    with progress(f"evaluate {task}") as report:
        result = evaluate(run, task, episodes, first_seed, report, directions=directions, hold=hold)
    found = result_file(run, directions, hold)
    print(f"{result['successes']} of {result['episodes']} rollouts of {task} succeeded{describe(result)}: {found}")
