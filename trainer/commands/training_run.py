"""What pretrain and adapt share: `--resume` and `--overwrite`, and the line that they end with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

if TYPE_CHECKING:
    from trainer.training.ranks import Ranks

Resume = Annotated[bool, arg(help="go on with the run that lies in the folder.")]
Overwrite = Annotated[bool, arg(help="remove the run that lies in the folder, and start over.")]


def claim(run: Path, resume: bool, overwrite: bool, ranks: "Ranks") -> None:
    """Raises ConfigError where a run lies in the folder and neither is asked, once for all ranks."""
    from trainer.training.run_folder import RunFolder

    if ranks.is_first:
        RunFolder(run).claim(resume=resume, overwrite=overwrite)


def say_trained(run: Path, checkpoint: Path, ranks: "Ranks") -> None:
    """Prints how long it took, how good it is and where the checkpoint lies, once for all ranks."""
    from trainer.evaluation.action_error import describe_error
    from trainer.training.training_summary import training_summary

    if not ranks.is_first:
        return
    summary = training_summary(run)
    error = summary["action_error"]
    measured = f", held out: {describe_error(error)}" if error else ""
    print(f"{summary['checkpoint_step']} steps in {summary['train_seconds']:.0f} s{measured}: {checkpoint}")
