"""Episodes of a policy in the simulator, whose chunks get to the arm in several ways; of benchmarks.closed_loop."""

import functools
import itertools
import math
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.executor import arm_limits
from headstart_client import ArmLimits, Executor, PolicyError
from headstart_client.audit import MotionAudit
from headstart_client.kinematics import Kinematics
from headstart_client.tool_policy import ToolPath, ToolPolicy
from services.catalogue import ARMS
from trainer.evaluation.results import COMMITTED_STEPS
from trainer.simulation.controller import DOF
from trainer.simulation.environment import ACTION_WIDTH, OPEN, Environment
from trainer.simulation.frames import GRIP_SITE
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ
from trainer.simulation.scene import Scene

STEP_S = 1 / CONTROL_RATE_HZ
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """How a policy's chunks get to the arm.

    Attributes:
        kind: `direct`, `waiting` or `asynchronous`.
        latency_s: from an observation to its answer [s].
    """

    kind: str
    latency_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind}-{1e3 * self.latency_s:.0f}ms"


WAYS = (
    Way("direct"),
    *(Way(kind, latency_s) for latency_s in (0.0, 0.05, 0.2) for kind in ("asynchronous", "waiting")),
)


@dataclass
class Motion:
    """What was commanded and what the tool did, at the rate of the physics, an array for each control step.

    Attributes:
        commanded: positions of the tool [m].
        moved: positions of the controlled site [m].
        touching: whether the arm touched anything at the end of the step.
    """

    commanded: list[Array] = field(default_factory=list)
    moved: list[Array] = field(default_factory=list)
    touching: list[bool] = field(default_factory=list)

    def figures(self, rate_hz: float) -> dict[str, float]:
        """Mean and 99th percentile of the jerk's size [m/s^3]: of commands at two rates, of the tool, and of the tool
        in steps at whose end it touches nothing."""
        commanded, moved = np.concatenate(self.commanded), np.concatenate(self.moved)
        substeps = len(self.commanded[0])
        free = np.repeat(~np.array(self.touching), substeps)
        tool = _jerk(moved, rate_hz)
        each = {
            "command": _jerk(commanded, rate_hz),
            "command_policy_rate": _jerk(commanded[substeps - 1 :: substeps], CONTROL_RATE_HZ),
            "tool": tool,
            "free_tool": tool[free[:-3] & free[3:]],
        }
        found = {}
        for name, jerk in each.items():
            found[f"{name}_jerk_mean"] = float(jerk.mean()) if len(jerk) else math.nan
            found[f"{name}_jerk_p99"] = float(np.percentile(jerk, 99)) if len(jerk) else math.nan
        return found


def _jerk(positions: Array, rate_hz: float) -> Array:
    jerk: Array = np.linalg.norm(np.diff(positions, 3, axis=0), axis=1) * rate_hz**3
    return jerk


def touching(environment: Environment) -> bool:
    """Whether any part of the arm, its fingers included, touches anything."""
    model, pairs = environment.scene.model, environment.data.contact.geom
    roots = model.body_rootid[model.geom_bodyid[pairs]]
    return bool((roots == model.body_rootid[model.site(GRIP_SITE).bodyid[0]]).any())


class Seen:
    """The latest observations of an environment, as a PolicyClient sends them."""

    def __init__(self, environment: Environment, steps: int) -> None:
        self._environment = environment
        self._kept = [environment.observation()] * steps

    def look(self) -> None:
        """Takes another."""
        self._kept = [*self._kept[1:], self._environment.observation()]

    def message(self) -> dict[str, NDArray[np.float32]]:
        """Each key's values, (n_obs_steps, width), the latest last."""
        return {key: np.stack([one[key] for one in self._kept]) for key in self._kept[0]}


class Asked(Protocol):
    """What answers: a PolicyClient, or what stands for it."""

    about: dict[str, Any]

    def __call__(self, observation: Any, prefix: Array | None = None) -> Array:
        """The chunk for an observation and a prefix."""


@functools.cache
def panda() -> tuple[Kinematics, ArmLimits]:
    """The simulator's arm."""
    arm = ARMS["panda"]
    chain = Kinematics(arm.urdf, arm.joints, base_frame=arm.base_frame, tool_frame=arm.tool_frame)
    return chain, arm_limits(arm.name)


def direct(environment: Environment, client: Asked) -> Iterator[Array]:
    """Actions of each physics step (physics steps, 10), as `trainer evaluate` carries them out."""
    seen, about = Seen(environment, client.about["n_obs_steps"]), client.about
    past, taken = about["n_obs_steps"] - 1, about["n_action_steps"]
    commands: list[Array] = []
    ahead = np.zeros((0, ACTION_WIDTH))
    while True:
        prefix = [*commands[len(commands) - past :], *ahead] if commands else []
        chunk = client(seen.message(), np.array(prefix) if prefix else None)
        chunk[: len(ahead)] = ahead
        for action in chunk[:taken]:
            commands.append(action)
            yield np.repeat(action[None], environment.substeps, axis=0)
            seen.look()
        ahead = chunk[taken : taken + COMMITTED_STEPS]


class Answer(NamedTuple):
    """A chunk on its way.

    Attributes:
        arrives: when it is there [s].
        chunk: joint positions with gripper, (steps, dof + 1).
        begins: when its first step is due [s].
    """

    arrives: float
    chunk: Array
    begins: float


class Arm:
    """The executor of one episode, and all of its commands.

    Attributes:
        executor: which is asked for commands at the rate of the physics.
        states: of every command, (3, dof) each.
    """

    def __init__(self, environment: Environment) -> None:
        (self._kinematics, limits), self._substeps = panda(), environment.substeps
        start = np.array(environment.data.qpos[:DOF])
        rate_hz = CONTROL_RATE_HZ * environment.substeps
        self.executor = Executor(limits, start, rate_hz=rate_hz, policy_rate_hz=CONTROL_RATE_HZ)
        self.states: list[Array] = []
        self._ticks = 0

    def step(self, answers: deque[Answer]) -> Array:
        """Actions of each physics step of a control step; answers are offered when they are there."""
        rows = np.empty((self._substeps, self.executor.limits.dof + 1))
        for row in rows:
            self.offer(answers)
            self._ticks += 1
            command = self.executor.tick(self._ticks * self.executor.period)
            self.states.append(command.state())
            row[:-1], row[-1] = command.position, OPEN if command.gripper is None else command.gripper
        return np.column_stack([self._kinematics.poses(rows[:, :-1]), rows[:, -1]])

    def offer(self, answers: deque[Answer]) -> None:
        """Gives the executor those of the answers that are there by now."""
        while answers and answers[0].arrives <= self._ticks * self.executor.period + 1e-9:
            self.executor.offer(answers[0].chunk, answers.popleft().begins)


def through_executor(environment: Environment, client: Asked, way: Way, arm: Arm) -> Iterator[Array]:
    """Actions of each physics step (physics steps, 10), of an arm that stands or goes on while the policy is asked.

    Args:
        environment: which carries each out before it asks for the next.
        client: of the policy.
        way: not `direct`.
        arm: of the episode.
    """
    (kinematics, limits), executor = panda(), arm.executor
    policy = ToolPolicy(client, ToolPath(kinematics, limits, STEP_S), kinematics, executor)
    seen, taken = Seen(environment, client.about["n_obs_steps"]), client.about["n_action_steps"]
    ahead, past = math.floor(way.latency_s / STEP_S + 1e-9) + 1, client.about["n_obs_steps"] - 1
    every = taken + (math.ceil(way.latency_s / STEP_S - 1e-9) if way.kind == "waiting" else 0)
    answers = deque[Answer]()
    for step in itertools.count():
        now = step * STEP_S
        arm.offer(answers)
        if step % every == 0:
            arrives, waits = now + way.latency_s, way.kind == "waiting"
            if waits and way.latency_s:
                executor.halt(now, "it waits for the policy")
            try:
                chunk = policy(seen.message(), None if waits else executor.prefix(now, past, ahead))
                answers.append(Answer(arrives, chunk, arrives if waits else now))
            except PolicyError as error:
                executor.note("unanswered", str(error))
        yield arm.step(answers)
        seen.look()


def episode(scene: Scene, seed: int, client: Asked, way: Way) -> dict[str, Any]:
    """What came of one episode, as JSON: success, steps, jerk, and the executor's audit and events."""
    environment = Environment(scene, seed)
    motion, arm = Motion(), Arm(environment)
    through = through_executor(environment, client, way, arm)
    actions = direct(environment, client) if way.kind == "direct" else through
    success, steps = False, 0
    while not success and steps < scene.task.episode_limit:
        wanted = next(actions)
        motion.moved.append(environment.step_along(wanted))
        motion.commanded.append(wanted[:, :3])
        motion.touching.append(touching(environment))
        steps += 1
        if environment.diverged():
            break
        success = environment.succeeded()
    rate_hz = CONTROL_RATE_HZ * environment.substeps
    found: dict[str, Any] = {**asdict(way), "seed": seed, "success": success, "steps": steps}
    found |= {name: float(f"{value:.6g}") for name, value in motion.figures(rate_hz).items()}
    if arm.states:
        audit = MotionAudit(arm.executor.limits, arm.executor.period)
        audit.add(np.array(arm.states))
        found |= {"commands": audit.steps, "violations": sum(audit.violations.values())}
        found |= {"events": dict(Counter(event.kind for event in arm.executor.events))}
    return found
