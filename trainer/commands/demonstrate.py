"""`python -m trainer demonstrate`."""

from pathlib import Path

from trainer.progress import progress
from trainer.settings import check_number


def run(
    task: str,
    out: Path,
    successes: int = 200,
    first_seed: int = 0,
    workers: int = 1,
    cameras: tuple[str, ...] | None = None,
    size: int = 84,
    patience: float = 60.0,
) -> None:
    """Collect demonstrations of a scripted expert in the simulator.

    Those of a task that isn't robosuite's are a robomimic file. Beside it is a mapping: pass it as --mapping to adapt.

    Args:
        task: lift, stack, stack_three, can or square; package.module:NAME for one of yours; or the mapping file of a
            Gymnasium environment that names an expert (docs/own-environment.md).
        out: file to write (.hdf5); a file that has them already is left as it is.
        successes: how many to collect; failed attempts are kept beside them.
        first_seed: of the first attempt.
        workers: processes; the file is the same for any number.
        cameras: of a task that isn't robosuite's, those whose pictures are kept; by default all. For robosuite's there
            is `render`.
        size: height and width that their pictures are resized to.
        patience: seconds that its environment may take to begin an episode, or for a step.
    """
    check_number("--successes", successes, 1)
    check_number("--first-seed", first_seed, 0)
    check_number("--workers", workers, 1)
    check_number("--size", size, 1)
    check_number("--patience", patience, above=0)
    from trainer.simulation.collect import collect
    from trainer.simulation.recorded_episodes import is_robosuites, record

    with progress(f"demonstrate {task}") as report:
        if is_robosuites(task):
            collect(task, out, first_seed=first_seed, successes=successes, workers=workers, progress=report)
            mapping = None
        else:
            mapping = record(
                task,
                out,
                successes,
                first_seed=first_seed,
                workers=workers,
                cameras=cameras,
                size=(size, size),
                patience_s=patience,
                progress=report,
            )
    print(f"demonstrations: {out}" + (f"\nmapping:        {mapping}" if mapping else ""))
