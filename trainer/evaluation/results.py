"""What a trained policy achieved: rollouts that go on where they stopped, and the entry of a report's `results`."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError, SimulationError
from trainer.deployment.policy import Policy
from trainer.evaluation.kept_rollouts import KEEP_NOTHING, Keep, KeptRollouts
from trainer.evaluation.policy_inputs import policy_inputs
from trainer.evaluation.rollout_motion import joined_motion, rollout_motion
from trainer.json_lines import read_lines, rewrite
from trainer.progress import Progress
from trainer.simulation.isolated import PATIENCE_S, IsolatedTask, open_task
from trainer.simulation.robosuite_task import RobosuiteTask
from trainer.simulation.rollout import Rollout, rollout
from trainer.simulation.strip import render_strip
from trainer.simulation.task import Task
from trainer.tensor_file import publish
from trainer.training.checkpoint_info import CheckpointInfo
from trainer.training.training_summary import training_summary

COMMITTED_STEPS = 1
"""Actions of a chunk that are carried out while the next one is asked for, which goes on from them: 50 ms at 20 Hz."""
_SIDE_BY_SIDE = 50
"""Episodes of a task of ours at once: they share one model, and the policy answers them in one batch."""


@dataclass(frozen=True)
class Way:
    """How a policy is asked; each way has a result of its own.

    Attributes:
        directions: of the motion basis to project onto, instead of the checkpoint's number; 0 is no basis.
        hold: let each chunk go on from the last command and from `COMMITTED_STEPS` of the chunk before; else it begins
            where it likes, and is carried out at once.
        sampling_steps: of the sampler, instead of the policy's own number.
    """

    directions: int | None = None
    hold: bool = True
    sampling_steps: int | None = None

    @property
    def suffix(self) -> str:
        """What this way's files end with; nothing for the usual one."""
        directions = "" if self.directions is None else f"-{self.directions}-directions"
        steps = "" if self.sampling_steps is None else f"-{self.sampling_steps}-steps"
        return directions + steps + ("" if self.hold else "-free")


@dataclass(frozen=True)
class Where:
    """What rollouts run on, and what is seen of them.

    Attributes:
        device: of the policy, as `choose_device` takes it.
        environments: processes side by side, of a task that isn't ours.
        patience_s: how long its environment may take to begin an episode, or for a step.
        keep: what is kept of the first rollouts for people.
    """

    device: str = "cpu"
    environments: int = 1
    patience_s: float = PATIENCE_S
    keep: Keep = KEEP_NOTHING


def evaluate(
    run: Path,
    task_text: str,
    episodes: int,
    first_seed: int,
    progress: Progress,
    way: Way = Way(),
    where: Where = Where(),
) -> dict[str, Any]:
    """Rolls a run's policy out and writes its result and a strip of pictures, going on where it stopped.

    The result is result.json; of another way than the usual one, a file of its own (`result_file`). Rollouts that had a
    fault of their environment have failed; asked again, they are tried again.

    Args:
        run: folder of a finished Stage-2 run.
        task_text: the task, as --task names it.
        episodes: rollouts, with seeds first_seed, first_seed + 1, ...
        first_seed: of the first rollout; policies evaluated with the same one see the same initial states.
        progress: told of each rollout.
        way: how the policy is asked.
        where: what the rollouts run on.

    Returns:
        The entry of a report's `results`.

    Raises:
        ConfigError: `run` is not a run's folder, the numbers make no sense, or the policy does not see what this task
            shows or acts at another rate.
        CheckpointError: as loading does.
        SimulationError: there is no such task, or every rollout had a fault of its environment.
    """
    if episodes < 1 or first_seed < 0:
        raise ConfigError(f"episodes is {episodes} and first_seed {first_seed}; they must be at least 1 and 0")
    if not run.is_dir():
        raise ConfigError(f"{run} is not a run's folder; give the folder that `python -m trainer adapt` wrote")
    policy = Policy.load(run, device=where.device, directions=way.directions, sampling_steps=way.sampling_steps)
    if policy.info.needs_state:
        raise ConfigError(
            f"{run}: the policy's actions are relative to the arm's state, which it does not see, and rollouts do not "
            "tell; adapt it with the state among its observations (docs/your-data.md)"
        )
    # Before the first rollout: what can't be told is known now, not after all of them.
    trained = training_summary(run)
    seeds = range(first_seed, first_seed + episodes)
    with open_task(task_text, where.patience_s) as task:
        rollouts = _Rollouts(run, task, policy, way, where)
        rolled = rollouts.go_on(seeds, progress)
        if way == Way() and isinstance(task, RobosuiteTask):
            first = next((result for result in rolled if result.seed == first_seed), None)
            first = first or rollouts.roll_out([first_seed])[0]
            _save_strip(run / f"strip-{run.name}.png", task, first)
        result = _result(trained, task, policy, way, [rollouts.known[seed] for seed in seeds])
    publish(result_file(run, way), json.dumps(result, indent=1).encode())
    return result


def result_file(run: Path, way: Way = Way()) -> Path:
    """Where `evaluate` writes what it found."""
    return run / f"result{way.suffix}.json"


class _Rollouts:
    """Rollouts of a policy, kept in a file of lines.

    Attributes:
        known: the line of each seed.
    """

    def __init__(self, run: Path, task: Task, policy: Policy, way: Way, where: Where) -> None:
        self._name, self._task, self._policy, self._way, self._where = run.resolve().name, task, policy, way, where
        self._seen = policy_inputs(policy.info, task)
        self._log = run / f"rollouts-{task.name}{way.suffix}.jsonl"
        # Outcomes of another checkpoint in this folder are another policy's, those of earlier releases lack the motion.
        self._this = {"checkpoint_step": policy.info.step, "basis": policy.directions, "held": way.hold}
        lines = [line for line in read_lines(self._log) if self._this.items() <= line.items() and "fault" not in line]
        self.known: dict[int, dict[str, Any]] = {line["seed"]: line for line in lines}
        rewrite(self._log, list(self.known.values()))

    def go_on(self, seeds: Sequence[int], progress: Progress) -> list[Rollout]:
        """Rolls out the seeds that are not known. Raises SimulationError where each of all has a fault."""
        missing = [seed for seed in seeds if seed not in self.known]
        progress(len(seeds) - len(missing), len(seeds))
        about = {"run": self._name, **self._this, "n_action_steps": self._policy.n_action_steps}
        keeping = closing(KeptRollouts(self._where.keep, self._task, seeds, about))
        with self._log.open("a") as file, keeping as kept:
            missing = [seed for seed in seeds if seed in missing or seed in kept.seeds]

            def finished(result: Rollout) -> None:
                kept.add(result)
                self.known[result.seed] = line = {**_outcome(result, self._policy.info, self._task), **self._this}
                file.write(json.dumps(line) + "\n")
                file.flush()
                done = [self.known[seed] for seed in seeds if seed in self.known]
                progress(len(done), len(seeds), f"{_successes(done)} of {len(done)} succeeded")

            rolled = self.roll_out(missing, kept, finished) if missing else []
            kept.write()
        faults = [self.known[seed]["fault"] for seed in seeds if "fault" in self.known[seed]]
        if len(faults) == len(seeds):
            raise SimulationError(f"no rollout of {self._task.name} could be carried out; the first: {faults[0]}")
        return rolled

    def roll_out(
        self,
        seeds: Sequence[int],
        kept: KeptRollouts | None = None,
        finished: Callable[[Rollout], None] | None = None,
    ) -> list[Rollout]:
        """Outcomes, in the order of the seeds."""
        policy, hold = self._policy, self._way.hold

        def answer(
            observations: NDArray[np.float32],
            fixed: NDArray[np.float32],
            pictures: Mapping[str, NDArray[np.uint8]] | None = None,
        ) -> NDArray[np.float32]:
            return policy.predict(observations, pictures, prefix=fixed if hold else None)

        longest = policy.info.head.longest_answer
        isolated = isinstance(self._task, IsolatedTask)
        return rollout(
            self._task,
            answer,
            seeds,
            n_obs_steps=policy.n_obs_steps,
            n_action_steps=policy.n_action_steps,
            committed=min(COMMITTED_STEPS, longest - policy.n_action_steps) if hold else 0,
            n_envs=self._where.environments if isolated else _SIDE_BY_SIDE,
            threads=self._where.environments if isolated else 1,
            seen=self._seen,
            onlooker=None if kept is None else kept.onlooker,
            followed=() if kept is None else kept.followed,
            finished=finished,
        )


def _result(
    trained: Mapping[str, Any], task: Task, policy: Policy, way: Way, lines: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    faults = {str(line["seed"]): line["fault"] for line in lines if "fault" in line}
    return {
        **trained,
        "task": task.name,
        "episodes": len(lines),
        "successes": _successes(lines),
        "first_seed": lines[0]["seed"],
        "outcomes": [int(line["success"]) for line in lines],
        "mean_success_steps": _mean([line["steps"] for line in lines if line["success"]]),
        "basis": policy.directions,
        "held": way.hold,
        **({} if way.sampling_steps is None else {"sampling_steps": way.sampling_steps}),
        **({"faults": faults} if faults else {}),
        **joined_motion([line["motion"] for line in lines], policy.info.demonstrated or {}),
    }


def _outcome(result: Rollout, info: CheckpointInfo, task: Task) -> dict[str, Any]:
    fastest = (info.demonstrated or {}).get("speed_m_per_s")
    outcome = {"seed": result.seed, "success": bool(result.success), "steps": result.steps}
    fault = {} if result.fault is None else {"fault": f"rollout {result.seed} of {task.name}: {result.fault}"}
    return {**outcome, **fault, "motion": rollout_motion(result, task.action, info.rate_hz, fastest)}


def _successes(lines: Sequence[Mapping[str, Any]]) -> int:
    return sum(bool(line["success"]) for line in lines)


def _mean(values: list[int]) -> float | None:
    return float(np.mean(values)) if values else None


def _save_strip(path: Path, task: RobosuiteTask, result: Rollout) -> None:
    matplotlib.image.imsave(path, np.concatenate(render_strip(task, result.positions), axis=1))
