"""docs/executor.md: its example, as it stands."""

import json
import subprocess
import sys

from tests.pages import ROOT, blocks


def test_the_example_of_the_page_runs_to_rest() -> None:
    (code,) = blocks("docs/executor.md", "python")
    path = str(ROOT / "packages" / "headstart-client")
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[(0.002, 'followed'), (0.752, 'stopped'), (0.79, 'rested')]\n"


def test_the_package_needs_what_it_says_and_no_more() -> None:
    """Importing it brings neither torch, Ray nor Pinocchio, nor anything of the two programs."""
    code = "import json, sys, headstart_client.audit; print(json.dumps(list(sys.modules)))"
    path = str(ROOT / "packages" / "headstart-client")
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert {"numpy", "httpx", "msgpack", "ruckig", "websockets"} <= loaded
    assert not loaded & {"torch", "ray", "pinocchio", "pyarrow", "services", "trainer", "shared"}
