"""Roll a policy out in simulation, in closed loop.

You learn how demonstrations of a scripted expert are collected, how a policy of them is rolled out, and how its outcome
is counted. Ten demonstrations and a tiny head will hardly lift a cube; `make train-decoupled` does it properly.

    python examples/06_roll_out.py --stage1 try/stage1 --out try/lift
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.config import AdaptConfig, TrainingConfig
from trainer.data.demonstrations import read_demonstrations
from trainer.deployment.policy import Policy
from trainer.progress import progress
from trainer.simulation.collect import collect
from trainer.simulation.rollout import rollout
from trainer.simulation.task import find_task
from trainer.stages.adapt import adapt
from trainer.training.checkpoint import read_info


def main() -> None:
    """Collects demonstrations, trains on them, and rolls out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage1", type=Path, required=True, help="run of 04_pretrain.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for the demonstrations and the run")
    parser.add_argument("--task", default="lift", help="of the simulator")
    parser.add_argument("--demonstrations", type=int, default=10, help="to collect")
    parser.add_argument("--steps", type=int, default=400, help="gradient steps")
    parser.add_argument("--rollouts", type=int, default=10, help="episodes")
    parser.add_argument("--episode-limit", type=int, help="control steps of an episode; by default the task's")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    demos = options.out / f"{options.task}.hdf5"
    with progress("demonstrate") as report:
        collect(options.task, demos, successes=options.demonstrations, progress=report)
    head = read_info(options.stage1).head
    config = AdaptConfig("decoupled", head, TrainingConfig(steps=options.steps, batch_size=64, device="cpu"))
    with progress("adapt") as report:
        adapt(options.out / "run", read_demonstrations(demos), config, stage1=options.stage1, progress=report)

    policy = Policy.load(options.out / "run")

    def answer(observations: NDArray[np.float32], fixed: NDArray[np.float32]) -> NDArray[np.float32]:
        # `fixed` are the actions that are carried out whatever the answer is; it goes on from them.
        return policy.predict(observations, prefix=fixed)

    results = rollout(
        find_task(options.task),
        answer,
        seeds=range(1000, 1000 + options.rollouts),
        episode_limit=options.episode_limit,
        n_obs_steps=policy.n_obs_steps,
        n_action_steps=policy.n_action_steps,
        committed=1,
    )
    print(f"{sum(result.success for result in results)} of {len(results)} rollouts of {options.task} succeeded")


if __name__ == "__main__":
    main()
