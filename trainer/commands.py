"""The commands of `python -m trainer`. Each finishes what an earlier call of it began."""

import json
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from tyro.conf import OmitArgPrefixes, Positional
from tyro.extras import SubcommandApp

from shared.errors import ConfigError
from shared.remote_dataset import open_dataset
from shared.summary_file import write_summary
from trainer.action import POSITION, ActionRange
from trainer.adapt import adapt as adapt_head
from trainer.checkpoint import read_info
from trainer.config import AdaptConfig, PretrainConfig
from trainer.demonstrations import open_source, read_demonstrations
from trainer.demonstrations.description import describe_demonstrations, describe_source
from trainer.demonstrations.frame_cache import MOST_BYTES, FrameCache
from trainer.demonstrations.mapping_file import read_mapping
from trainer.demonstrations.simulator import is_simulators
from trainer.diffusion import SAMPLING_STEPS
from trainer.evaluate import describe_error
from trainer.export import export_policy
from trainer.pretrain import pretrain as pretrain_head
from trainer.progress import progress
from trainer.ranks import Ranks
from trainer.recipe import FIRST_ROLLOUT_SEED, RecipeOptions, train_decoupled
from trainer.resampling import resample
from trainer.results import evaluate as evaluate_run
from trainer.results import training_summary
from trainer.run_folder import RunFolder
from trainer.serving.command import serve
from trainer.simulation.collect import collect
from trainer.summarize import HELD_OUT, HORIZON, WINDOWS, Tolerance, describe, summarize

app = SubcommandApp()
app.command(serve)

_MARGIN = 0.05


@app.command
def train(options: OmitArgPrefixes[RecipeOptions] = RecipeOptions()) -> None:  # noqa: B008
    """Run the whole recipe: generate, pretrain, demonstrate, adapt, roll out, report."""
    console = Console(highlight=False)
    report = train_decoupled(options, console)
    console.print(f"[bold green]report[/bold green] {report}", soft_wrap=True)


@app.command
def pretrain(
    data: str,
    out: Path,
    config: OmitArgPrefixes[PretrainConfig] = PretrainConfig(),  # noqa: B008
    action_range: Path | None = None,
    mapping: Path | None = None,
    cache_gb: float = 100.0,
    ahead: bool = True,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Stage 1: pretrain a head on trajectories, finished or still being made.

    Args:
        data: dataset directory, its URI (s3://bucket/prefix), or job URL (http://host:8000/v1/jobs/ID).
        out: run folder.
        config: settings.
        action_range: JSON or demonstrations whose range replaces the dataset's.
        mapping: of those demonstrations, if they aren't our simulator's.
        cache_gb: of shards kept on the disk, once as they came and once decoded; what is dropped is fetched again.
        ahead: decode shards ahead of their use, in a thread of its own; the training is the same.
        resume: go on with the run that lies in the folder.
        overwrite: remove the run that lies in the folder, and start over.
    """
    if not cache_gb > 0:
        raise ConfigError(f"--cache-gb {cache_gb}: it must be more than 0")
    cache_bytes = cache_gb * 1e9
    source = open_dataset(data, cache=out.parent / "shards", tell=_say, max_bytes=cache_bytes)
    ranges = read_action_range(action_range, mapping) if action_range else None
    _claim(out, resume, overwrite)
    with progress("pretrain") as report:
        checkpoint = pretrain_head(
            out, source, config, action_range=ranges, cache_bytes=cache_bytes, ahead=ahead, progress=report
        )
    _say_trained(out, checkpoint)


@app.command
def adapt(
    demos: Path,
    out: Path,
    config: OmitArgPrefixes[AdaptConfig] = AdaptConfig(),  # noqa: B008
    count: int | None = None,
    stage1: Path | None = None,
    backbone: Path | None = None,
    action_range: Path | None = None,
    mapping: Path | None = None,
    frames: Path | None = None,
    frames_gb: float = MOST_BYTES / 1e9,
    vision: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Stage 2: adapt a pretrained head to demonstrations, or train one of the baselines on them.

    Args:
        demos: demonstrations: our simulator's file, a robomimic file, or the folder of a LeRobot data set.
        out: run folder.
        config: settings.
        count: use the first so many demonstrations.
        stage1: run folder or checkpoint of Stage 1; mode decoupled needs it.
        backbone: file of Stage 1's backbone, if it isn't in its run's backbones/.
        action_range: where there is no Stage 1: JSON or demonstrations that say the range of actions.
        mapping: what the columns of the demonstrations mean (.toml or .json, docs/your-data.md), if they aren't our
            simulator's.
        frames: folder that pictures are decoded to, shared by runs; by default frames/ beside the run's folder.
        frames_gb: most gigabytes in it.
        vision: run folder of a policy with the same cameras, whose networks are taken over, frozen: pictures become
            features once, and training costs as little as without them.
        resume: go on with the run that lies in the folder.
        overwrite: remove the run that lies in the folder, and start over.
    """
    ranges = read_action_range(action_range, mapping) if action_range else None
    known = read_info(stage1).action_range if stage1 else ranges
    meaning = read_mapping(mapping) if mapping else None
    cache = FrameCache(frames or out.parent / "frames", int(frames_gb * 1e9))
    with progress("adapt") as report:
        demonstrations = read_demonstrations(demos, count, mapping=meaning, ranges=known, frames=cache, progress=report)
        _claim(out, resume, overwrite)
        checkpoint = adapt_head(
            out,
            demonstrations,
            config,
            stage1=stage1,
            backbone=backbone,
            action_range=ranges,
            vision=vision,
            features=cache.folder / "features",
            progress=report,
        )
    _say_trained(out, checkpoint)


@app.command
def inspect(
    demos: Positional[Path],
    mapping: Path | None = None,
    count: int | None = None,
    action_range: Path | None = None,
    frames: Path = Path("runs/frames"),
) -> None:
    """Show what a data set holds, or with a mapping, whether it is what the mapping says.

    Args:
        demos: a robomimic file, the folder of a LeRobot data set, or our simulator's file.
        mapping: what its columns mean (.toml or .json, docs/your-data.md).
        count: read the first so many demonstrations.
        action_range: JSON (such as a dataset.json) that positions and joints must lie in.
        frames: folder that pictures are decoded to.
    """
    if mapping is None and (demos.is_dir() or not is_simulators(demos)):
        print("\n".join(describe_source(open_source(demos))))
        return
    ranges = read_action_range(action_range) if action_range else None
    meaning = read_mapping(mapping) if mapping else None
    with progress("inspect") as report:
        demonstrations = read_demonstrations(
            demos, count, mapping=meaning, ranges=ranges, frames=FrameCache(frames), progress=report
        )
    print("\n".join(describe_demonstrations(demonstrations, meaning)))


@app.command
def demonstrate(task: str, out: Path, successes: int = 200, first_seed: int = 0, workers: int = 1) -> None:
    """Collect demonstrations of a scripted expert in the simulator.

    Args:
        task: lift or stack.
        out: file to write (.hdf5); a file that has them already is left as it is.
        successes: how many to collect; failed attempts are kept beside them.
        first_seed: of the first attempt.
        workers: processes; the file is the same for any number.
    """
    with progress(f"demonstrate {task}") as report:
        collect(task, out, first_seed=first_seed, successes=successes, workers=workers, progress=report)
    print(f"demonstrations: {out}")


@app.command(name="summarize")
def summarize_demonstrations(
    demonstrations: Positional[Path],
    out: Path | None = None,
    count: int | None = None,
    held_out: float = HELD_OUT,
    rate_hz: float | None = None,
    windows: int = WINDOWS,
    horizon: int = HORIZON,
    position_tolerance: float = 0.010,
    angle_tolerance: float = 5.0,
    mapping: Path | None = None,
) -> None:
    """Summarize demonstrations, for fitted requests and for reports of the service.

    Args:
        demonstrations: our simulator's, or a robomimic file.
        out: summary to write; by default beside the demonstrations, as <name>.summary.json.
        count: use the first so many demonstrations.
        held_out: share of them that is not fitted, to measure against.
        rate_hz: resample to this rate, which a dataset must share to be compared.
        windows: most windows in each of the two samples, fitted and held out.
        horizon: steps of a window.
        position_tolerance: how far a demonstration may be from its waypoints' straight lines [m].
        angle_tolerance: and its orientation [degrees].
        mapping: what the columns of the demonstrations mean (.toml or .json, docs/your-data.md), if they aren't our
            simulator's.
    """
    read = read_demonstrations(demonstrations, count, mapping=read_mapping(mapping) if mapping else None)
    if rate_hz is not None:
        if not 1 <= rate_hz <= 1000:
            raise ConfigError(f"--rate-hz {rate_hz:g}: give 1 to 1000")
        read = resample(read, rate_hz)
    tolerance = Tolerance(position_tolerance, float(np.deg2rad(angle_tolerance)))
    summary = summarize(read, held_out=held_out, tolerance=tolerance, windows=windows, horizon=horizon)
    path = out or demonstrations.with_suffix(".summary.json")
    write_summary(summary, path)
    print("\n".join(describe(summary)))
    print(f"summary: {path} ({path.stat().st_size / 1024:.0f} KiB)")


@app.command
def evaluate(run: Positional[Path], task: str, episodes: int = 100, first_seed: int = FIRST_ROLLOUT_SEED) -> None:
    """Roll a trained policy out in closed loop and count successes.

    Args:
        run: run folder of Stage 2.
        task: of the simulator.
        episodes: rollouts.
        first_seed: seed of the first initial state; the same one makes policies comparable.
    """
    with progress(f"evaluate {task}") as report:
        result = evaluate_run(run, task, episodes, first_seed, report)
    print(f"{result['successes']} of {result['episodes']} rollouts of {task} succeeded: {run / 'result.json'}")


@app.command
def export(
    checkpoint: Positional[Path],
    out: Path,
    backbone: Path | None = None,
    sampling_steps: int = SAMPLING_STEPS,
    bundle: bool = False,
) -> None:
    """Export a policy as programs that torch runs without this package.

    Args:
        checkpoint: of Stage 2, or its run folder.
        out: folder to write.
        backbone: file of the backbone, if it isn't in the run's backbones/.
        sampling_steps: of DDIM.
        bundle: also copy the checkpoint and its backbone: a run folder that needs no other file.
    """
    export_policy(checkpoint, out, backbone=backbone, sampling_steps=sampling_steps, bundle=bundle)
    print(f"exported: {out}")


def read_action_range(path: Path, mapping: Path | None = None) -> ActionRange:
    """An action range from JSON ({"position": {"min": [3], "max": [3]}}), a dataset, or demonstrations.

    The range of demonstrations is widened by 0.05 m or rad a side, for what a policy does beyond them.
    """
    if (path / "dataset.json").is_file():
        path = path / "dataset.json"
    if path.suffix != ".json":
        demonstrations = read_demonstrations(path, mapping=read_mapping(mapping) if mapping else None)
        joints = "joint_position", slice(None, -1)
        name, numbers = joints if demonstrations.action_space == "joint_position" else ("position", POSITION)
        values = np.concatenate([episode.actions[:, numbers] for episode in demonstrations.episodes])
        low, high = values.min(0) - _MARGIN, values.max(0) + _MARGIN
        return {name: {"min": low.tolist(), "max": high.tolist()}}
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read as an action range: {error}") from error
    ranges: ActionRange = content.get("action_range", content) if isinstance(content, dict) else content
    return ranges


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _claim(run: Path, resume: bool, overwrite: bool) -> None:
    if Ranks().is_first:
        RunFolder(run).claim(resume=resume, overwrite=overwrite)


def _say_trained(run: Path, checkpoint: Path) -> None:
    if not Ranks().is_first:
        return
    summary = training_summary(run)
    error = summary["action_error"]
    measured = f", held out: {describe_error(error)}" if error else ""
    print(f"{summary['checkpoint_step']} steps in {summary['train_seconds']:.0f} s{measured}: {checkpoint}")
