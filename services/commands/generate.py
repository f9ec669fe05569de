"""Make a dataset from a request; run it again to go on where it stopped."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from services import jobs
from services.catalogue import Arm, find_arm
from services.commands import own_robot, request_flags
from services.commands.row_bar import RowBar
from services.engine import ENGINES, Engine, open_engine
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.demonstrated_motions import DemonstratedMotions
from shared.errors import DatasetError, RequestError, SummaryError
from shared.manifest import Commit
from shared.motions_file import read_motions
from shared.summary_file import read_summary_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "--request", type=Path, metavar="FILE", help="request as JSON; - reads stdin (default: the flags)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="directory of the dataset, or its URI (s3://...)")
    parser.add_argument("--engine", default="process", choices=ENGINES, help="where shards are made (default: process)")
    parser.add_argument("--workers", type=int, metavar="N", help="shards at once (default: one for each core)")
    parser.add_argument(
        "--motions", type=Path, metavar="FILE", help="motions file of the demonstrations that are to be copied"
    )
    request_flags.add_arguments(parser)
    own_robot.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Makes the dataset. Raises HeadstartError; Ctrl-C leaves whole shards and returns 130."""
    console = Console(stderr=True)
    arm = own_robot.own_robot(options)
    folder = options.request.parent if options.request else Path()
    body = request_flags.with_flags(_read_json(options.request) if options.request else {}, options)
    request = parse_request(body, folder, arm, options.motions)
    for note in request.arm.notes:
        console.print(f"{request.robot}: {note}", highlight=False, soft_wrap=True)
    engine = open_engine(options.engine, options.workers)
    try:
        dataset = jobs.begin(request, options.out)
        if dataset.manifest().state == "sealed":
            console.print(
                f"{options.out} holds this dataset already, whole: {request.count} trajectories", soft_wrap=True
            )
            return 0
        if not _make(request, dataset, engine, console):
            return 130
    except OSError as error:
        raise DatasetError(f"{error.strerror or error}; nothing that is committed is lost", options.out) from error
    finally:
        engine.close()
    return 0


def parse_request(body: Any, folder: Path, arm: Arm | None = None, motions: Path | None = None) -> TrajectoryRequest:
    """A request from its JSON, for `arm` and of the demonstrations in a motions file if there are such.

    A summary's path is relative to `folder`. Raises RequestError, MotionsError.
    """
    body = _with_summary(body, folder)
    find: Callable[[str], Arm] = find_arm
    if arm is not None:
        body, find = own_robot.named_in(body, arm)
    body, known = _with_motions(body, motions)
    return TrajectoryRequest.parse(body, find, known)


def _read_json(path: Path) -> Any:
    """What a JSON file says, or standard input for "-". Raises RequestError."""
    try:
        return json.loads(sys.stdin.read() if str(path) == "-" else path.read_text())
    except OSError as error:
        raise RequestError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} is not JSON: {error}") from None


def _with_motions(body: Any, path: Path | None) -> tuple[Any, Callable[[str], DemonstratedMotions | None]]:
    """The request with the sha256 of a motions file, and what finds it."""
    if path is None:
        return body, lambda sha256: None
    motions = read_motions(path)
    workspace = body.get("workspace") if isinstance(body, dict) else None
    if isinstance(workspace, dict) and workspace.get("kind") == "objects" and "motions" not in workspace:
        body = {**body, "workspace": {**workspace, "motions": motions.content_sha256}}
    return body, lambda sha256: motions if sha256 == motions.content_sha256 else None


def _with_summary(body: Any, folder: Path) -> Any:
    """The request with the summary of demonstrations in place of its path, which may be relative to `folder`."""
    workspace = body.get("workspace") if isinstance(body, dict) else None
    if not isinstance(workspace, dict) or not isinstance(workspace.get("summary"), str):
        return body
    try:
        summary = read_summary_json(folder / workspace["summary"])
    except SummaryError as error:
        raise RequestError("the request is not valid", [("/workspace/summary", error.detail)]) from None
    return {**body, "workspace": {**workspace, "summary": summary}}


def _make(request: TrajectoryRequest, dataset: Dataset, engine: Engine, console: Console) -> bool:
    """Makes and seals the dataset; False after Ctrl-C."""
    done = jobs.Progress(request.count, 0, 0, {}, dataset.header.shards, 0, 0)
    try:
        with RowBar(console, f"generate ({engine.name})", request.count) as bar:

            def show(tally: jobs.Tally, _: Commit | None) -> None:
                nonlocal done
                done = tally.progress
                bar.show(done.accepted, done.count, done.rows_per_s, _rejected(done))

            jobs.make_dataset(request, dataset, engine, on_progress=show)
    except KeyboardInterrupt:
        console.print(
            f"stopped: {done.shards_committed} of {done.shards} shards are in {dataset.where}; "
            "run the same command again to go on",
            soft_wrap=True,
        )
        return False
    dataset.set_state("sealed")
    console.print(
        f"{dataset.where}: {done.accepted} trajectories, {done.bytes / 1e6:.1f} MB; {_rejected(done)}", soft_wrap=True
    )
    return True


def _rejected(progress: jobs.Progress) -> str:
    reasons = ", ".join(f"{reason} {n}" for reason, n in progress.rejections.items())
    return f"{progress.attempts} attempts" + (f" ({reasons})" if reasons else "")
