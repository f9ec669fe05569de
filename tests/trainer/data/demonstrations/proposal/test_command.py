"""`python -m trainer inspect --propose`: a file that is a mapping, or asks before it is one."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.catalogue import ARMS
from shared.client import Client
from tests.services.example import RunningService, running_service
from tests.trainer.data.demonstrations.proposal.example import write
from tests.trainer.data.demonstrations.written import unpack_lerobot
from trainer.__main__ import main
from trainer.data.demonstrations.mapping.mapping_file import read_mapping


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service") / "data"
    with running_service(folder, "--engine", "process", "--workers", "1") as running:
        Client(running.url).wait_ready()
        yield running


def test_a_service_says_the_kinematics_and_the_mapping_holds(
    service: RunningService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "demos.hdf5", "so101", lambda c, t, s: {"obs/joint_pos": np.rad2deg(s.joints)})
    out = tmp_path / "mapping.toml"
    assert main(["inspect", str(data), "--robot", "so101", "--service", service.url, "--propose", str(out)]) == 0
    assert f"wrote {out}; check it with --mapping {out}" in capsys.readouterr().out
    assert "CAN'T TELL" not in out.read_text()
    mapping = read_mapping(out)
    assert mapping.robot == "so101"
    assert mapping.state.joint_position is not None
    assert mapping.state.joint_position.unit == "deg"
    assert main(["inspect", str(data), "--mapping", str(out), "--service", service.url]) == 0
    said = capsys.readouterr().out
    assert "checked: every assumption of the mapping holds" in said
    assert "drift between episodes, joints against poses, by the arm's kinematics: none" in said
    # The service knows all of an arm's limits, and the arm's name is in the mapping.
    assert re.search("limits: .*jerk", said)
    assert "are not known" not in said
    assert main(["inspect", str(data), "--robot", "so101", "--service", service.url, "--propose", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_urdf_does_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out, urdf = write(tmp_path / "demos.hdf5", "so101"), tmp_path / "mapping.toml", tmp_path / "arm.urdf"
    urdf.write_bytes(ARMS["so101"].files.urdf())
    arguments = ["inspect", str(data), "--robot", "so101", "--urdf", str(urdf), "--propose", str(out)]
    assert main(arguments) == 2
    assert "--urdf needs --tip" in capsys.readouterr().err
    assert main([*arguments, "--tip", "gripper_frame_link"]) == 0
    assert read_mapping(out).state.frame == "base"


def test_what_is_asked_is_commented_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = unpack_lerobot("v3.0", tmp_path) / "joints", tmp_path / "mapping.toml"
    assert main(["inspect", str(data), "--propose", str(out)]) == 0
    said = capsys.readouterr().out
    assert "without the arm's kinematics" in said
    assert "answer them first" in said
    content = tomllib.loads(out.read_text())
    assert "joint_position" not in content["action"]
    assert "gripper" not in content["action"]
    assert '# joint_position = {columns = "action[0:7]", unit = "deg"}' in out.read_text()
    assert main(["inspect", str(data), "--mapping", str(out)]) == 2
    assert "action.gripper: is missing" in capsys.readouterr().err
