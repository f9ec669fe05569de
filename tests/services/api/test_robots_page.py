"""Every command of docs/robots.md is run, on the URDF that the page shows."""

import json
import re
import subprocess
from pathlib import Path

from services.catalogue.own_arm import ArmOptions, own_arm
from shared.client import Client
from shared.dataset import Dataset
from tests.pages import blocks, runnable
from tests.services.example import ROOT, running_service

_PAGE = (ROOT / "docs" / "robots.md").read_text()


def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    (urdf,) = blocks("docs/robots.md", "xml")
    (tmp_path / "arm.urdf").write_text(urdf)
    alone, served = blocks("docs/robots.md", "sh")
    script = runnable(alone)
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    arm = own_arm(urdf.encode(), "x", ArmOptions("tool"))
    assert Dataset(tmp_path / "data/my-arm").header.robot.name == arm.name
    with running_service(tmp_path / "service", "--engine", "process", "--workers", "1") as service:
        with Client(service.url) as client:
            client.wait_ready()
        script = served.replace("localhost:8000", service.url.removeprefix("http://"))
        script = re.sub(r"^curl", "echo; echo ==; curl", script, flags=re.MULTILINE).replace("curl -s", "curl -sSf")
        done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    uploaded, preview, *_ = (json.loads(part) for part in done.stdout.split("==")[1:3])
    assert uploaded["name"] == arm.name
    assert [row["length"] > 1 for row in preview["trajectories"]] == [True, True]
    assert (tmp_path / "robot.urdf").read_bytes() == arm.files.urdf()


def test_the_page_says_what_the_rule_is() -> None:
    arm = own_arm(blocks("docs/robots.md", "xml")[0].encode(), "x", ArmOptions("tool"))
    assert arm.acceleration[0] == 3 / 0.2
    assert arm.jerk[0] == 3 / 0.2 / 0.05
    assert "from rest in 0.2 s, and its greatest acceleration in 0.05 s" in _PAGE.replace("\n", " ")
