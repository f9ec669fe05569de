"""`python -m trainer render`."""

from pathlib import Path

from tyro.conf import Positional

from shared.errors import ConfigError
from trainer.progress import progress
from trainer.settings import check_number


def run(
    demos: Positional[Path],
    out: Path,
    cameras: tuple[str, ...] = ("agentview", "robot0_eye_in_hand"),
    size: int = 84,
    count: int | None = None,
    draw: int | None = None,
    task: str | None = None,
) -> None:
    """Write our simulator's demonstrations once more, with pictures of cameras.

    The file is robomimic's layout. Beside it a mapping says that a policy sees the pictures, the tool and the fingers,
    and not where the objects are: pass it as --mapping to adapt and to motions.

    Args:
        demos: a file that `python -m trainer demonstrate` wrote.
        out: file to write (.hdf5); its mapping gets the same name, .toml.
        cameras: of the simulator's scene.
        size: height and width of the pictures.
        count: the first so many demonstrations.
        draw: so many that this seed draws, and as many more that are held out, as in adapt.
        task: package.module:NAME of the task that was demonstrated, if it isn't one of ours.
    """
    check_number("--size", size, 1)
    check_number("--count", count, 1)
    check_number("--draw", draw, 0)
    from trainer.simulation.with_cameras import write_with_cameras

    if out.exists():
        raise ConfigError(f"{out} is there already; remove it, or give another --out")
    with progress("render") as report:
        mapping = write_with_cameras(
            demos, out, cameras, (size, size), count=count, draw=draw, task=task, progress=report
        )
    print(f"demonstrations: {out}\nmapping:        {mapping}")
