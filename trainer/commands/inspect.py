"""`python -m trainer inspect`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from shared.errors import ConfigError
from trainer.hub import demonstrations_here
from trainer.progress import progress
from trainer.settings import check_number

if TYPE_CHECKING:
    from trainer.data.demonstrations.episode import Demonstrations
    from trainer.data.demonstrations.mapping.mapping import Mapping
    from trainer.data.demonstrations.motion_report.limits import KnownLimits
    from trainer.data.demonstrations.proposal.chain import Chain

_GIVE = "give --robot with --service or HEADSTART_URL, or --urdf with --tip"


def run(
    demos: Positional[Path],
    mapping: Path | None = None,
    count: int | None = None,
    action_range: Path | None = None,
    frames: Path = Path("runs/frames"),
    propose: Path | None = None,
    robot: str | None = None,
    service: str | None = None,
    urdf: Path | None = None,
    tip: str | None = None,
    base: str | None = None,
    calibration: Path | None = None,
    table: float | None = None,
) -> None:
    """Show what a data set holds, or with a mapping, whether it is what the mapping says; or propose a mapping.

    With a mapping it also says what is wrong with the motion: lag, drift between episodes, broken limits, numbers that
    never move, and how near the table the tool goes.

    Args:
        demos: a robomimic file, the folder of a LeRobot data set, or our simulator's file; or hf://user/name@revision.
        mapping: what its columns mean (.toml or .json, docs/your-data.md).
        count: read the first so many demonstrations.
        action_range: JSON (such as a dataset.json) that positions and joints must lie in.
        frames: folder that pictures are decoded to.
        propose: mapping file (.toml) to write, by agreement of commands, observations and the arm's kinematics.
        robot: the arm, as the service calls it: for a proposal, and for limits and drift. By default what the data set
            says.
        service: URL of the service that knows the arm; by default HEADSTART_URL.
        urdf: the arm's URDF, instead of the service's.
        tip: link of the URDF that is the tool; by default the service's for this robot.
        base: link of the URDF that poses are relative to; by default the service's, or the one that never moves.
        calibration: of a proposal: LeRobot's calibration file of the arm that was recorded, by which normalized joints
            and ticks are radians.
        table: height [m] in the base frame: count the steps in which the tool is below it.
    """
    check_number("--count", count, 1)
    demos = demonstrations_here(demos)
    if propose is not None:
        if mapping is not None:
            raise ConfigError("--propose writes a mapping, and --mapping checks one; leave one of them out")
        arm = _arm(robot, service, urdf, tip, base)
        if arm is None:
            print(f"note: without the arm's kinematics, much can't be told; {_GIVE}")
        _propose(demos, propose, robot, arm and arm[0], calibration)
        return
    if calibration is not None:
        raise ConfigError("--calibration is for a proposal: give --propose FILE, too, or leave it out")
    from trainer.commands.action_range import read_action_range
    from trainer.data.demonstrations import open_source, read_demonstrations
    from trainer.data.demonstrations.description import describe_demonstrations, describe_source
    from trainer.data.demonstrations.formats.frame_cache import FrameCache
    from trainer.data.demonstrations.formats.simulator import is_simulators
    from trainer.data.demonstrations.mapping.mapping_file import read_mapping

    if mapping is None and (demos.is_dir() or not is_simulators(demos)):
        print("\n".join(describe_source(open_source(demos))))
        return
    ranges = read_action_range(action_range)
    meaning = read_mapping(mapping) if mapping else None
    with progress("inspect") as report:
        demonstrations = read_demonstrations(
            demos, count, mapping=meaning, ranges=ranges, frames=FrameCache(frames), progress=report
        )
    print("\n".join(describe_demonstrations(demonstrations, meaning)))
    named = robot or (demonstrations.robot if service else None)
    _faults(demos, meaning, count, demonstrations, _arm(named, service, urdf, tip, base), table)


def _faults(
    demos: Path,
    meaning: "Mapping | None",
    count: int | None,
    demonstrations: "Demonstrations",
    arm: "tuple[Chain, KnownLimits] | None",
    table: float | None,
) -> None:
    """Says what is wrong with the motion of demonstrations that have been read."""
    from trainer.data.demonstrations import open_source
    from trainer.data.demonstrations.motion_report.recordings import read_recordings, recordings_of
    from trainer.data.demonstrations.motion_report.report import describe_motion_faults

    if meaning is None:
        recordings = recordings_of(demonstrations)
    else:
        recordings = read_recordings(open_source(demos), demos, meaning, count)
    chain, limits = arm or (None, None)
    print("\n".join(describe_motion_faults(recordings, chain, limits, table)))


def _propose(demos: Path, out: Path, robot: str | None, chain: "Chain | None", calibration: Path | None) -> None:
    """Writes a mapping file, and says what is known and what is asked."""
    from trainer.data.demonstrations import open_source
    from trainer.data.demonstrations.proposal.calibration import read_calibration
    from trainer.data.demonstrations.proposal.proposal import propose
    from trainer.data.demonstrations.proposal.proposal_file import describe_proposal, proposal_text
    from trainer.tensor_file import publish

    if out.exists():
        raise ConfigError(f"{out}: is there already; name another file for --propose, or remove it")
    motors = None if calibration is None else read_calibration(calibration)
    proposal = propose(open_source(demos), demos, robot, chain, motors)
    publish(out, proposal_text(proposal).encode())
    print("\n".join(describe_proposal(proposal)))
    questions = len(proposal.questions)
    asked = f"{questions} questions are marked CAN'T TELL in it: answer them first, then " if questions else ""
    print(f"wrote {out}; {asked}check it with --mapping {out}")


def _arm(
    robot: str | None, service: str | None, urdf: Path | None, tip: str | None, base: str | None
) -> "tuple[Chain, KnownLimits] | None":
    """The arm's kinematics and limits, from a URDF or the service; None where neither is given."""
    from trainer.data.demonstrations.motion_report.limits import KnownLimits
    from trainer.data.demonstrations.proposal.chain import read_chain

    if urdf is not None:
        if tip is None:
            raise ConfigError("--urdf needs --tip, the link of it that is the tool")
        try:
            content = urdf.read_bytes()
        except OSError as error:
            raise ConfigError(f"{urdf}: can't be read ({error.strerror}); give a URDF") from error
        chain = read_chain(content, str(urdf), tip, base)
        return chain, KnownLimits.of_chain(chain)
    url = service or os.environ.get("HEADSTART_URL", "")
    if robot is None or not url:
        return None
    from shared.client import Client

    with Client(url) as client:
        known = client.robot(robot)
        content = client.robot_urdf(robot)
    chain = read_chain(content, f"the URDF of {robot}", tip or known["tool_frame"], base or known["base_frame"])
    return chain, KnownLimits.of_robot(known)
