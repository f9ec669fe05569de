"""`python -m trainer replay`."""

from pathlib import Path

from tyro.conf import Positional


def run(
    data: Positional[str],
    task: str,
    count: int = 100,
    out: Path | None = None,
) -> None:
    """Command copies of demonstrations open loop in the simulator: how many do the task, and where others go wrong.

    Stopped and started again, it goes on where it was if there is an --out.

    Args:
        data: dataset of copies, finished or still being made: its directory, its URI (s3://bucket/prefix), its job's
            URL (http://host:8000/v1/jobs/ID), or what `python -m trainer copies` wrote.
        task: the one that was demonstrated: lift, stack, ..., or package.module:NAME of a task of robosuite.
        count: replay the first so many copies.
        out: JSON to write, with the table's figures and an entry for each copy; what is known so far is kept beside
            it, as .jsonl.
    """
    from trainer.simulation.replayed_copies import replay_dataset

    replay_dataset(data, task, count, out)
