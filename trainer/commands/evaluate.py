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
    device: str = "cpu",
    sampling_steps: int | None = None,
    video: Path | None = None,
    record: Path | None = None,
    player: Path | None = None,
    environments: int = 1,
    patience: float = 60.0,
) -> None:
    """Roll a trained policy out in closed loop and count successes.

    Args:
        run: run folder of Stage 2.
        task: lift, stack, stack_three, can or square; package.module:NAME for one of yours; or the mapping file of a
            Gymnasium environment (docs/own-environment.md).
        episodes: rollouts.
        first_seed: seed of the first initial state; the same one makes policies comparable.
        directions: of the motion basis to project onto, instead of the checkpoint's number; 0 is no basis.
        hold: let each chunk go on from the last commands and one step of the chunk before, which is carried out
            meanwhile; else chunks may jump where they join.
        device: of the policy: auto, cpu, cuda, ...
        sampling_steps: of the sampler, instead of the policy's own number.
        video: folder for videos of the first 4 rollouts.
        record: file (.rrd) for a recording of the first 4 rollouts, for the Rerun viewer: commands, chunks, pictures
            unless --video takes those (docs/executor.md).
        player: file (.json) of the first 4 rollouts, for the player of the service's page: what was executed,
            predicted, and, where the task has an expert, demonstrated by it (docs/page.md).
        environments: processes side by side, of a task that isn't one of ours.
        patience: seconds that its environment may take to begin an episode, or for a step, before the rollout has
            failed.
    """
    check_number("--episodes", episodes, 1)
    check_number("--first-seed", first_seed, 0)
    check_number("--directions", directions, 0)
    check_number("--sampling-steps", sampling_steps, 1)
    check_number("--environments", environments, 1)
    check_number("--patience", patience, above=0)
    from trainer.evaluation.kept_rollouts import Keep
    from trainer.evaluation.results import Way, Where, evaluate, result_file
    from trainer.evaluation.rollout_motion import describe

    way = Way(directions, hold, sampling_steps)
    where = Where(device, environments, patience, Keep(video, record, player))
    with progress(f"evaluate {task}") as report:
        result = evaluate(run, task, episodes, first_seed, report, way, where)
    found = result_file(run, way)
    print(f"{result['successes']} of {result['episodes']} rollouts of {task} succeeded{describe(result)}: {found}")
    for fault in result.get("faults", {}).values():
        print(f"failed by its environment: {fault}")
    if video is not None:
        print(f"videos: {video}")
    if record is not None:
        print(f"recording: {record}; look at it with `rerun {record}`")
    if player is not None:
        print(f"rollouts: {player}; open it on the service's page, under Rollouts")
