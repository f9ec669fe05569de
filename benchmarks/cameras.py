"""Policies that see two cameras and no object poses, rolled out: what Stage 1 on copies is worth to them.

    python -m benchmarks.cameras [--task lift] [--steps N] [--episodes N] [--seeds 0 1] [--device cuda] [--out FOLDER]

From 25 demonstrations: `normal`, `decoupled` from Stage 1 on trajectories that know nothing of the task, and
`decoupled` from Stage 1 on copies of the demonstrations (condition `objects`). Each policy learns its cameras' networks
itself, from scratch, which wants a GPU; with --vision-steps one training like that of `normal` learns them, and all
take them over, frozen. All are rolled out from the same initial states. Every part is a command, which is printed.
Asked again, this goes on where it stopped. What came out is kept in docs/results/cameras; docs.update makes a table.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.cameras import KEPT
from trainer.config import Mode
from trainer.evaluation.results import result_file
from trainer.recipe.machine import describe_machine
from trainer.recipe.presets import quick, trajectory_request
from trainer.recipe.recipe_options import FIRST_ROLLOUT_SEED
from trainer.training.run_folder import RunFolder
from trainer.training.training_summary import training_summary

DEMONSTRATIONS, COPIES = 25, 3000
POLICIES: dict[str, tuple[Mode, str]] = {
    "normal": ("normal", "trajectories"),
    "generated": ("decoupled", "trajectories"),
    "copied": ("decoupled", "copies"),
}
"""The mode of each policy, and which Stage 1 it goes on from. Of the one on trajectories `normal` takes the range of
actions and the motion basis alone."""


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        task: of the simulator.
        given: run folder of a Stage 1 on trajectories that is there already; None where it is made here.
        stage1_steps: of each Stage 1 that is made here.
        steps: of each policy's training.
        vision_steps: of a training whose cameras' networks all policies take over, frozen; 0: each learns its own.
        batch: windows in a batch of a policy's training.
        trajectories: of the dataset that knows nothing of the task.
        episodes: rollouts of each policy.
        device: of trainings, and of policies that are rolled out.
        out: folder of everything that is made.
        demonstrations: to train on; as many more are held out.
        copies: of them.
    """

    task: str
    given: Path | None
    stage1_steps: int
    steps: int
    vision_steps: int
    batch: int
    trajectories: int
    episodes: int
    device: str
    out: Path
    demonstrations: int = DEMONSTRATIONS
    copies: int = COPIES

    def run(self, policy: str, seed: int) -> RunFolder:
        """Of a policy."""
        return RunFolder(self.out / f"{self.task}-{seed}-{policy}")

    def stage1(self, of: str, seed: int) -> RunFolder:
        """Of Stage 1 on trajectories, which all seeds share, or on a seed's copies."""
        if of == "copies":
            return RunFolder(self.out / f"{self.task}-{seed}-stage1")
        return RunFolder(self.given or self.out / "stage1")


def commands(plan: Plan, seeds: Sequence[int]) -> Iterator[list[str]]:
    """What is still to be run, each after the one before; words after `python -m`."""
    pool = plan.out / f"{plan.task}.hdf5"
    yield _words("trainer demonstrate --task {} --successes {} --out {}", plan.task, 2 * plan.demonstrations, pool)
    if plan.given is None:
        generated = plan.out / "trajectories"
        request = {**trajectory_request(quick()), "count": plan.trajectories}
        yield _words("services generate --request {} --out {}", _written(request, generated), generated)
        yield from _pretrain(plan, "trajectories", 0, generated, "joint_position")
    for seed in seeds:
        start = f"{plan.task}-{seed}"
        seen, motions, copies = (plan.out / f"{start}{end}" for end in (".hdf5", ".motions.parquet", "-copies"))
        mapping = seen.with_suffix(".toml")
        if not mapping.exists():
            seen.unlink(missing_ok=True)
            yield _words("trainer render {} --count {} --draw {} --out {}", pool, plan.demonstrations, seed, seen)
        if not motions.exists():
            yield _words("trainer motions {} --mapping {} --out {}", seen, mapping, motions)
        request = {"robot": "panda", "count": plan.copies, "workspace": {"kind": "objects"}, "shard_rows": 1000}
        asked = _written(request, copies)
        yield _words("services generate --request {} --motions {} --out {}", asked, motions, copies)
        yield from _pretrain(plan, "copies", seed, copies, "objects")
        if plan.vision_steps:
            yield from _adapt(plan, "vision", seed, plan.vision_steps, [])
        taken_over = ["--vision", str(plan.run("vision", seed).path)] if plan.vision_steps else []
        for policy in POLICIES:
            yield from _adapt(plan, policy, seed, plan.steps, taken_over)
        for policy in POLICIES:
            words = "trainer evaluate {} --task {} --episodes {} --first-seed {} --device {}"
            run = plan.run(policy, seed).path
            yield _words(words, run, plan.task, plan.episodes, FIRST_ROLLOUT_SEED, plan.device)


def _pretrain(plan: Plan, of: str, seed: int, data: Path, condition: str) -> Iterator[list[str]]:
    run = plan.stage1(of, seed)
    if not run.checkpoint(plan.stage1_steps).exists():
        words = "trainer pretrain --resume --data {} --condition {} --out {} --steps {} --seed {} --device {}"
        yield _words(words, data, condition, run.path, plan.stage1_steps, seed, plan.device)


def _adapt(plan: Plan, policy: str, seed: int, steps: int, options: list[str]) -> Iterator[list[str]]:
    run, (mode, of) = plan.run(policy, seed), POLICIES.get(policy, POLICIES["normal"])
    if not run.checkpoint(steps).exists():
        seen = plan.out / f"{plan.task}-{seed}.hdf5"
        words = "trainer adapt --resume --mode {} --stage1 {} --demos {} --mapping {} --out {} --n-picture-steps 1"
        begun = _words(words, mode, plan.stage1(of, seed).path, seen, seen.with_suffix(".toml"), run.path)
        words = "--steps {} --batch-size {} --seed {} --device {}"
        yield [*begun, *_words(words, steps, plan.batch, seed, plan.device), *options]


def _words(command: str, *values: Path | str | int) -> list[str]:
    """The words of a command, each {} replaced by a value, which may have spaces."""
    left = iter(values)
    return [str(next(left)) if word == "{}" else word for word in command.split()]


def _written(request: dict[str, Any], out: Path) -> Path:
    """The file of a request, beside what it asks for."""
    file = out.with_name(f"{out.name}.request.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(request, indent=1) + "\n")
    return file


def rows(plan: Plan, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """The result of each policy and seed, with what its Stage 1 says of itself."""
    found = []
    for policy, (_, of) in POLICIES.items():
        for seed in seeds:
            result = json.loads(result_file(plan.run(policy, seed).path).read_text())
            # The policy's own training, which sees pictures, has no copies.
            told = {"policy": policy, "multiplied": plan.copies if of == "copies" else 0}
            # Without those that are held out, which the file of pictures has, too.
            told |= {"demonstrations": plan.demonstrations}
            stage1 = None if policy == "normal" else training_summary(plan.stage1(of, seed).path)
            found.append({**result, **told, "stage1_training": stage1})
    return found


def _seconds(run: RunFolder) -> float:
    return float(training_summary(run.path)["train_seconds"])


def main() -> None:
    """Runs everything, and keeps what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--task", default="lift")
    text = "run folder of a Stage 1 on trajectories; without one it is made here"
    parser.add_argument("--stage1", type=Path, dest="given", metavar="RUN", help=text)
    parser.add_argument("--stage1-steps", type=int, default=2000, help="of what is made (default 2000)")
    parser.add_argument("--steps", type=int, default=2000, help="of each policy's training (default 2000)")
    text = "of a training whose cameras' networks all policies take over, frozen (default 0: each learns its own)"
    parser.add_argument("--vision-steps", type=int, default=0, help=text)
    parser.add_argument("--batch", type=int, default=32, help="windows in a policy's batch (default 32)")
    parser.add_argument("--trajectories", type=int, default=20_000, help="for Stage 1 (default 20000)")
    parser.add_argument("--episodes", type=int, default=100, help="rollouts of each policy (default 100)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default auto)")
    parser.add_argument("--out", type=Path, default=Path("runs/cameras"), help="folder of all that is made")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of trainings (default 0)")
    parser.add_argument("--name", help="of the file in docs/results/cameras (default: the task)")
    options = vars(parser.parse_args())
    seeds, name = options.pop("seeds"), options.pop("name")
    plan = Plan(**options)
    for command in commands(plan, seeds):
        print(f"$ python -m {shlex.join(command)}", flush=True)
        subprocess.run([sys.executable, "-m", *command], check=True)
    keep(plan, seeds, KEPT / f"{name or plan.task}.json")


def keep(plan: Plan, seeds: Sequence[int], file: Path) -> None:
    """Writes what came out."""
    asked = {name: getattr(plan, name) for name in ("task", "stage1_steps", "steps", "vision_steps", "batch")}
    asked |= {"episodes": plan.episodes, "seeds": " ".join(map(str, seeds))}
    words = [f"--{name.replace('_', '-')} {value}" for name, value in asked.items()]
    words.append(f"--trajectories {plan.trajectories}" if plan.given is None else "--stage1 RUN")
    kept = {
        "command": f"python -m benchmarks.cameras {' '.join(words)}",
        "machine": describe_machine(),
        "date": time.strftime("%Y-%m-%d"),
        "demonstrations": plan.demonstrations,
        "vision_seconds": [_seconds(plan.run("vision", seed)) for seed in seeds] if plan.vision_steps else None,
        "results": rows(plan, seeds),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
