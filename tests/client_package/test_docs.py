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
    """An arm's program has neither torch, Ray, Pinocchio nor pyarrow, one that reads rows none of the first three."""
    names = "ArmLimits, ChunkChecks, Client, Executor, PolicyClient, Runner, audit"
    loaded = _loaded(f"from headstart_client import {names}")
    assert {"numpy", "httpx", "msgpack", "ruckig", "websockets"} <= loaded
    assert not loaded & {"torch", "ray", "pinocchio", "pyarrow", "tqdm", "services", "trainer", "shared"}
    loaded = _loaded("from headstart_client import generate")
    assert {"httpx", "pyarrow"} <= loaded
    assert not loaded & {"torch", "ray", "pinocchio", "matplotlib", "ruckig", "services", "trainer", "shared"}


def test_what_an_extra_is_for_says_which_one_is_missing() -> None:
    without = "import sys; sys.modules.update(dict.fromkeys(['pyarrow', 'tqdm', 'obstore', 'rerun']))"
    for name, extra in (("generate", "data"), ("recording", "viewer")):
        path = str(ROOT / "packages" / "headstart-client")
        code = f"{without}; from headstart_client import {name}"
        done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
        assert done.stderr.splitlines()[-1].endswith(f"pip install 'headstart-client[{extra}]'")


def _loaded(code: str) -> set[str]:
    """Packages in memory once a program has run."""
    code = f"{code}; import json, sys; print(json.dumps(list(sys.modules)))"
    path = str(ROOT / "packages" / "headstart-client")
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}
