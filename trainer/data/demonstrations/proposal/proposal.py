"""What a data set's columns mean, as far as they tell: every key of the mapping as an answer or a question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from trainer.data.demonstrations.mapping.encodings import joint_positions
from trainer.data.demonstrations.mapping.mapping import Frame, split_columns
from trainer.data.demonstrations.proposal.calibration import Calibration
from trainer.data.demonstrations.proposal.chain import Chain
from trainer.data.demonstrations.proposal.commands import (
    CLEARLY,
    FLOOR,
    NEAR,
    UNEXPLAINED,
    Fit,
    pose_mode,
    pose_solutions,
)
from trainer.data.demonstrations.proposal.deltas import pose_delta_guesses
from trainer.data.demonstrations.proposal.frames import is_shift
from trainer.data.demonstrations.proposal.gripper import gripper_guesses
from trainer.data.demonstrations.proposal.guess import Guess, settle
from trainer.data.demonstrations.proposal.joint_commands import joint_delta_guesses, joint_guesses, joint_mode
from trainer.data.demonstrations.proposal.layout import Layout, find_layouts
from trainer.data.demonstrations.proposal.observed import NO_KINEMATICS, Known, observed_readings
from trainer.data.demonstrations.proposal.readings import joint_readings, rotation_readings
from trainer.data.demonstrations.proposal.steps import Steps
from trainer.data.demonstrations.source import Source

FloatArray = NDArray[np.float64]

_EPISODES = 20


@dataclass(frozen=True, eq=False)
class Proposal:
    """What is known of a data set's mapping.

    Attributes:
        robot: as the mapping names it; None where the data set says it.
        low_dim: columns to be observed, where the format does not say which are.
        guesses: in the order in which the file has them.
    """

    robot: str | None
    low_dim: tuple[str, ...]
    guesses: tuple[Guess, ...]

    @property
    def questions(self) -> list[Guess]:
        """What can't be told."""
        return [guess for guess in self.guesses if not guess.is_sure]


def propose(
    source: Source, path: Path, robot: str | None, chain: Chain | None, calibration: Calibration | None = None
) -> Proposal:
    """What can be told of a data set.

    Args:
        source: the data set; its first episodes are read.
        path: of it, for messages.
        robot: name of the arm; None for what the data set says.
        chain: its kinematics, where they are known.
        calibration: of its motors, where the data set's joints are theirs.

    Raises:
        ConfigError: it can't even be told which columns are commanded, or the rate; or the calibration is of another
            number of joints.
        DemonstrationError: the data set is damaged.
    """
    contents = source.contents
    looks = [source.look(index, list(contents.columns)) for index in range(min(_EPISODES, contents.episodes))]
    faulty = {name for _, faults in looks for name in faults}
    kept = replace(contents, columns={name: n for name, n in contents.columns.items() if name not in faulty})
    raws = [raw for raw, _ in looks]
    if contents.rate_hz is None:
        raise ConfigError(f"{path}: does not say its rate; write the mapping by hand, with rate_hz")
    steps = Steps(raws, contents.rate_hz)
    layout = _likeliest(steps, find_layouts(kept, raws, chain.dof if chain is not None else None), path)
    known, guesses = observed_readings(steps, layout, chain, calibration)
    guesses += _commanded(steps, layout, chain, known, calibration)
    guesses = _with_space(_once(guesses + gripper_guesses(steps, layout)))
    columns = [text for text in vars(layout.state).values() if text]
    low_dim = () if contents.defaults else tuple(dict.fromkeys(split_columns(text)[0] for text in columns))
    return Proposal(robot, low_dim, tuple(_with_doubts(guesses, chain)))


def _likeliest(steps: Steps, layouts: Sequence[Layout], path: Path) -> Layout:
    """The layout whose commands agree with what is observed. Raises ConfigError where more than one does, or none."""
    if len(layouts) == 1:
        return layouts[0]
    ordered = sorted(((_unexplained(steps, layout), i) for i, layout in enumerate(layouts)))
    if ordered[0][0] > UNEXPLAINED or ordered[1][0] < CLEARLY * ordered[0][0]:
        texts = [str({key: value for key, value in vars(one.action).items() if value}) for one in layouts]
        raise ConfigError(
            f"{path}: can't tell what is commanded; as {' and as '.join(texts[:4])} it agrees as well with what is "
            "observed; write the mapping by hand"
        )
    return layouts[ordered[0][1]]


def _unexplained(steps: Steps, layout: Layout) -> float:
    """Share of what is observed that commands leave unexplained, as places or as motions, whichever is less."""
    action, state = layout.action, layout.state
    if action.joint_position and state.joint_position:
        fits = joint_mode(steps, steps.values(action.joint_position), steps.values(state.joint_position))
    elif action.position and state.position and state.rotation:
        seen, turns = steps.values(state.position), rotation_readings(state.rotation, steps.values(state.rotation))
        fits = pose_mode(steps, steps.values(action.position), [(seen, rotation) for _, rotation in turns])
    else:
        return 1.0
    return min(fit.unexplained for fit in fits)


def _once(guesses: Sequence[Guess]) -> list[Guess]:
    """For each key what was found last, but what was an answer stays one."""
    last: dict[tuple[str, str], Guess] = {}
    for guess in guesses:
        before = last.get(guess.key)
        if before is None or not before.is_sure:
            unchecked = guess.unchecked or (before is not None and before.unchecked)
            last[guess.key] = replace(guess, unchecked=unchecked, why=before.why if before and unchecked else guess.why)
    return list(last.values())


def _with_space(guesses: Sequence[Guess]) -> list[Guess]:
    """The guesses, of which what is commanded, and what is not, are questions where it agrees with nothing observed."""
    found = {guess.key[1]: guess for guess in guesses if guess.key[0] == "action"}
    told = [found[key] for key in ("position", "rotation", "joint_position") if key in found]
    if "mode" in found and found["mode"].is_sure and told and all(guess.readings for guess in told):
        return list(guesses)
    why = "it is cut by its width only, and agrees with nothing that is observed: {}"
    doubtful = {("action", "space"), ("action", "gripper")}
    return [
        replace(guess, unchecked=True, why=why.format(guess.why)) if guess.key in doubtful else guess
        for guess in guesses
    ]


def _with_doubts(guesses: Sequence[Guess], chain: Chain | None) -> list[Guess]:
    """The guesses, of which frames and zeros are questions where another zero would do as well as another frame.

    A base that is turned about the axis of the first joint can't be told from another zero of that joint, nor a tool
    that is turned from another zero of the last; those of joints that stand still are in it too. Where nothing is
    turned, only chance could make another zero agree; but a joint that slides shifts.
    """
    frames = [guess.readings[0] for guess in guesses if guess.key == ("state", "frame") and guess.is_sure]
    if chain is None or not frames or not isinstance(frames[0], Frame):
        return list(guesses)
    if is_shift(frames[0]) and not chain.slides.any():
        return list(guesses)
    why = (
        "{}; but another zero of the first or last joint, or of one that stands still, would do as well as a frame "
        "that is turned: right if the joints' zeros are the arm's own"
    )
    doubtful = {(table, key) for table in ("action", "state") for key in ("frame", "joint_position")}
    return [
        replace(guess, unchecked=True, why=why.format(guess.why)) if guess.key in doubtful and guess.is_sure else guess
        for guess in guesses
    ]


def _commanded(
    steps: Steps, layout: Layout, chain: Chain | None, known: Sequence[Known], calibration: Calibration | None
) -> list[Guess]:
    action = layout.action
    space = Guess(("action", "space"), ("ee_pose" if action.position else "joint_position",), "by its columns")
    if action.position and action.rotation:
        return [space, *_commanded_poses(steps, action.position, action.rotation, known)]
    if action.joint_position:
        return [space, *_commanded_joints(steps, layout, chain, known, calibration)]
    return [space, Guess(("action", "position"), (), "no component is a position and a rotation, or joints")]


def _commanded_poses(steps: Steps, position: str, rotation: str, known: Sequence[Known]) -> list[Guess]:
    missing = [("action", key) for key in ("mode", "position", "rotation")]
    if not known:
        why = "what is observed is not known, so that commands have nothing to agree with"
        return [Guess(key, (), why) for key in missing]
    mode = _mode(*pose_mode(steps, steps.values(position), [pose for _, pose in known]))
    if not mode.is_sure:
        return [mode]
    if mode.readings[0] == "delta":
        if steps.values(rotation).shape[1] != 3:
            return [mode, Guess(("action", "rotation"), (), "turns that are not three numbers are not told apart")]
        return [mode, *pose_delta_guesses(steps, position, rotation, known)]
    solutions = pose_solutions(steps, position, rotation, known)
    if not solutions:
        return [mode, Guess(("action", "position"), (), "in no unit are the commands where an arm can be")]
    guesses = settle(solutions, NEAR, FLOOR, "commanded and observed poses")
    unchecked = ("state", "joint_position") not in known[0][0]
    return [mode, *(_unchecked(guess) if unchecked and guess.key[1] == "frame" else guess for guess in guesses)]


def _unchecked(guess: Guess) -> Guess:
    return replace(guess, unchecked=True, why=f"the frame can't be checked: {NO_KINEMATICS}")


def _commanded_joints(
    steps: Steps, layout: Layout, chain: Chain | None, known: Sequence[Known], calibration: Calibration | None
) -> list[Guess]:
    columns, state = layout.action.joint_position, layout.state.joint_position
    assert columns is not None
    if state is None:
        return [Guess(("action", "joint_position"), (), "no joints are observed that the commands could agree with")]
    checked = [values[("state", "joint_position")] for values, _ in known if ("state", "joint_position") in values]
    numbers = steps.values(state)
    if checked:
        observed = [(reading, joint_positions(numbers, reading)) for reading in dict.fromkeys(checked)]
    else:
        observed = joint_readings(state, numbers, chain, calibration)
    if not observed:
        return [Guess(("action", "joint_position"), (), "the unit of the observed joints is not known")]
    mode = _mode(*joint_mode(steps, steps.values(columns), observed[0][1]))
    if not mode.is_sure:
        return [mode]
    is_delta = mode.readings[0] == "delta"
    found = (
        joint_delta_guesses(steps, columns, observed)
        if is_delta
        else joint_guesses(steps, columns, observed, calibration)
    )
    if checked:
        return [mode, *found]
    why = f"direction and zero of the joints can't be checked: {NO_KINEMATICS}"
    joints = [replace(guess, unchecked=True, why=why) if guess.key[1] == "joint_position" else guess for guess in found]
    return [mode, *joints]


def _mode(absolute: Fit, delta: Fit) -> Guess:
    """Whether commands are places or motions."""
    key, why = (
        ("action", "mode"),
        (
            f"as places they leave {absolute.unexplained:.0%} of what is observed unexplained, as motions "
            f"{delta.unexplained:.0%}"
        ),
    )
    nearer, other = sorted((absolute.unexplained, delta.unexplained))
    if nearer > UNEXPLAINED or other < CLEARLY * nearer:
        return Guess(key, ("absolute", "delta"), why)
    return Guess(key, ("absolute" if absolute.unexplained < delta.unexplained else "delta",), why)
