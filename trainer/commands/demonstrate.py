"""`python -m trainer demonstrate`."""

from pathlib import Path

from trainer.progress import progress
from trainer.settings import check_number


def run(task: str, out: Path, successes: int = 200, first_seed: int = 0, workers: int = 1) -> None:
    """Collect demonstrations of a scripted expert in the simulator.

    Args:
        task: lift, stack, stack_three, can or square.
        out: file to write (.hdf5); a file that has them already is left as it is.
        successes: how many to collect; failed attempts are kept beside them.
        first_seed: of the first attempt.
        workers: processes; the file is the same for any number.
    """
    check_number("--successes", successes, 1)
    check_number("--first-seed", first_seed, 0)
    check_number("--workers", workers, 1)
    from trainer.simulation.collect import collect

    with progress(f"demonstrate {task}") as report:
        collect(task, out, first_seed=first_seed, successes=successes, workers=workers, progress=report)
    print(f"demonstrations: {out}")
