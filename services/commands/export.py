"""Write a dataset in the layout of LeRobot or robomimic."""

import argparse
import tempfile
import time
from pathlib import Path

from rich.console import Console

from services.commands.row_bar import RowBar
from services.export import ACTION_LABELS, ACTIONS, FORMATS, Content, export_dataset
from services.memory import give_memory_back
from shared.remote_dataset import open_dataset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("dataset", help="its directory or URI (s3://...), or the URL of a job")
    parser.add_argument("--format", default="lerobot-v3", choices=tuple(FORMATS), help="default: lerobot-v3")
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="folder (robomimic: file) to make")
    parser.add_argument("--action", default="ee_pose", choices=ACTIONS, help="what an action is (default: ee_pose)")
    parser.add_argument(
        "--action-label",
        default="reached",
        choices=ACTION_LABELS,
        help="the action of a step is the pose reached at the next one (default), or commanded at the same",
    )
    parser.add_argument("--unfinished", action="store_true", help="export what a growing dataset has so far")


def run(options: argparse.Namespace) -> int:
    """Exports. Raises HeadstartError; Ctrl-C leaves nothing behind."""
    # Else threads that a busy machine holds up keep 50 MB more for ten more shards.
    give_memory_back()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="headstart-export-") as cache:
        source = open_dataset(options.dataset, cache)
        content = Content(source.header, options.action, options.action_label)
        began = time.monotonic()
        with RowBar(console, f"export ({options.format})", source.header.count) as bar:
            rows = export_dataset(
                source,
                options.out,
                options.format,
                content,
                unfinished=options.unfinished,
                on_progress=lambda done, of: bar.show(done, of, done / (time.monotonic() - began)),
            )
    seconds = time.monotonic() - began
    console.print(f"{options.out}: {rows} trajectories in {seconds:.0f} s, as {options.format}", soft_wrap=True)
    return 0
