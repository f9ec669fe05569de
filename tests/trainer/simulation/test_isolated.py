"""Tasks that are not ours, in their processes: what goes wrong there fails one rollout, and is named."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shared.errors import SimulationError
from tests.trainer.simulation import own_tasks
from trainer.simulation.isolated import IsolatedTask, open_task
from trainer.simulation.rollout import Rollout, rollout
from trainer.simulation.task import EnvironmentFault, Task, find_task, load_task
from trainer.simulation.watched_episode import Part, Seen

WHERE = "tests.trainer.simulation.own_tasks"
SEEN = Seen((Part("joint"), Part("goal")), {"front": "front"}, {"front": (8, 6)})
FAULTS = {
    own_tasks.HANGS_AT_RESET: r"begin took longer than 5 s; its process was ended",
    own_tasks.RAISES_AT_RESET: r"begin: ValueError: no such place \(.*own_tasks\.py, line \d+\)",
    own_tasks.DIES: r"step: its process died \(the driver is gone\)",
    own_tasks.HANGS: r"step took longer than 5 s; its process was ended",
    own_tasks.IS_NAN: r"observation 'joint\[0\]' is nan",
    own_tasks.IS_WIDE: r"observation 'goal' has shape \(1, 2\), the task says \(1,\)",
    own_tasks.LACKS: r"the observation lacks 'goal'",
    own_tasks.RAISES: r"step: RuntimeError: joint 1 is stuck \(.*own_tasks\.py, line \d+\)",
    own_tasks.SHOWS_FLOATS: r"camera 'front' shows float64 \(8, 6, 3\), not uint8 \(height, width, 3\)",
}


def approaching(observations: np.ndarray, fixed: np.ndarray, pictures: dict[str, np.ndarray]) -> np.ndarray:
    """Half of the way, twice; what pictures show is what observations say."""
    latest = observations[:, -1]
    assert np.array_equal(pictures["front"][:, -1, 0, 0, 0], (255 * latest[:, 0].astype(np.float64)).astype(np.uint8))
    first = latest[:, 0] + np.clip(latest[:, 1] - latest[:, 0], -0.1, 0.1)
    second = first + np.clip(latest[:, 1] - first, -0.1, 0.1)
    joints = np.stack([first, second], axis=1)
    return np.stack([joints, -np.ones_like(joints)], axis=2)


@pytest.fixture
def faulty() -> Iterator[IsolatedTask]:
    task = IsolatedTask(f"{WHERE}:Faulty", patience_s=5)
    yield task
    task.close()


def outcome(result: Rollout) -> tuple[int, bool, int, list[list[float]]]:
    return result.seed, result.success, result.steps, result.commands.tolist()


def test_a_fault_fails_its_rollout_by_name_and_no_other(faulty: IsolatedTask) -> None:
    seeds = [10, *FAULTS, 11]
    told: list[int] = []
    results = rollout(
        faulty, approaching, seeds, seen=SEEN, n_envs=6, threads=6, finished=lambda r: told.append(r.seed)
    )
    assert [result.seed for result in results] == seeds
    assert sorted(told) == sorted(seeds)
    for result in results:
        if result.seed in FAULTS:
            assert not result.success
            assert re.fullmatch(FAULTS[result.seed], result.fault or ""), (result.seed, result.fault)
        else:
            assert (result.success, result.fault) == (True, None)
    steps = {result.seed: result.steps for result in results}
    assert [steps[seed] for seed in FAULTS] == [0, 0, 2, 2, 2, 2, 2, 2, 0]


def test_processes_change_nothing(faulty: IsolatedTask) -> None:
    seeds = range(20, 26)
    here = rollout(load_task(f"{WHERE}:Faulty"), approaching, seeds, seen=SEEN)
    one = rollout(faulty, approaching, seeds, seen=SEEN, n_envs=1)
    two = rollout(faulty, approaching, seeds, seen=SEEN, n_envs=2, threads=2)
    assert [outcome(result) for result in here] == [outcome(result) for result in one] == [outcome(r) for r in two]
    assert all(result.success and result.steps in (3, 4, 5) for result in here)


def test_an_episode_that_has_ended_can_not_be_asked(faulty: IsolatedTask) -> None:
    episode = faulty.begin(10)
    episode.close()
    with pytest.raises(EnvironmentFault, match="has ended"):
        episode.observation()


def test_the_contract_is_kept_by_ours() -> None:
    ours: Task = find_task("lift")
    assert (ours.robot, ours.rate_hz, ours.action, ours.action_width) == ("panda", 20.0, "ee_pose", 10)
    assert sum(ours.observation_widths.values()) == 23
    assert {"agentview", "robot0_eye_in_hand", "onlooker"} <= set(ours.cameras)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lfit", r"no task 'lfit'; write the name of one of ours \(lift, .*package\.module:NAME .*mapping file"),
        (
            "gym_x/Reach-v0",
            r"no task 'gym_x/Reach-v0'; if it is the id of a Gymnasium environment, give it in a mapping",
        ),
        ("nowhere.at_all:Task", r"No module named 'nowhere'; modules are looked for in the working directory"),
        (f"{WHERE}:Lune", rf"{WHERE} has no 'Lune'; it has Point, Line, Faulty, FaultyLine, POINT, Half"),
        (
            f"{WHERE}:Half",
            r"is Half, which lacks action, action_width, episode_limit, observation_widths, cameras, begin",
        ),
        (f"{WHERE}:NeedsArguments", r"NeedsArguments.__init__\(\) missing 1 required positional argument: 'size'"),
        ("broken:TASK", r"importing broken failed: ZeroDivisionError: division by zero"),
        ("nothing.toml", r"nothing\.toml: can't be read \(No such file or directory\)"),
    ],
)
def test_a_wrong_task_says_what_to_write(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SimulationError, match=said), open_task(text):
        pass
