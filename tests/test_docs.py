"""Every command in the documentation is run: here, in the order in which a reader meets it, or where ELSEWHERE says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pages import ROOT, all_pages, blocks, commands, free_port, runnable, running

PAGES = ("README.md", "docs/audit.md", "docs/recipe.md", "docs/report.md", "docs/copies.md")

OTHER_PAGES = {
    "docs/deployment.md": ("tests/services/test_deployment.py",),
    "docs/exports.md": ("tests/services/export/test_docs.py",),
    "docs/lerobot.md": ("tests/trainer/deployment/test_lerobot_files.py",),
    "docs/object-stores.md": ("tests/test_object_stores.py",),
    "docs/own-environment.md": ("tests/test_own_environment.py",),
    "docs/policies.md": ("tests/trainer/deployment/serving/test_serving.py", "tests/trainer/deployment/test_export.py"),
    "docs/recorded-motion.md": ("tests/test_recorded_motion.py",),
    "docs/rest.md": ("tests/services/api/test_docs.py",),
    "docs/robots.md": ("tests/services/api/test_robots_page.py",),
    "docs/training.md": ("tests/trainer/test_config_file.py",),
    "docs/your-data.md": ("tests/test_your_data.py",),
    "examples/README.md": ("tests/examples/test_examples.py",),
}
"""What runs the commands of the others."""

ELSEWHERE = {
    "make train-decoupled": "tests/test_recipe.py, with PRESET=tiny",
    "make test": ".ci/run",
    "make test-lerobot LEROBOT_PYTHON=/path/to/a/python/with/lerobot": "by hand",
    "make test-lerobot LEROBOT_PYTHON=/path/to/one/with/lerobot-0.3 LEROBOT_LAYOUT=lerobot-v2.1": "by hand",
    "docker compose up --build --detach": "tests/test_compose.py",
    "docker compose up --build --detach --scale ray-worker=2": "tests/test_compose.py",
    "export HEADSTART_API_KEY=$(docker compose exec -T service cat /data/api-key)": "tests/test_compose.py",
    "docker compose run --rm trainer make train-decoupled PRESET=tiny": "tests/test_compose.py",
}
"""What needs a machine of its own. What `make` would run is looked at here."""

FEWER = (r"(trainer (?:pretrain|adapt) .*--steps \d+)", r"\1 --batch-size 8 --validation-windows 16")
"""A test has seconds where a reader has minutes."""


def curl_lines(port: int) -> str:
    """README's REST lines as one script, for a service at `port`."""
    lines = [command for command in commands("README.md") if command.startswith(("curl", "JOB="))]
    return "; ".join(["set -e", *lines]).replace("8000", str(port))


def check_curl_lines(folder: Path) -> None:
    """That what they fetched into `folder` is the 2,000 rows they asked for."""
    with pa.ipc.open_stream(folder / "rows.arrow") as stream:
        ids = stream.read_all().column("trajectory_id").to_pylist()
    assert ids == list(range(2000))
    shard = pq.read_table(folder / "shard-00000000.parquet")
    assert shard.column("trajectory_id").to_pylist() == list(range(500))


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.timeout(600)
def test_every_command_of_the_pages_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("NO_PROXY", "localhost")
    port = free_port()
    own = [command for page in PAGES for command in commands(page) if command not in ELSEWHERE]
    own = [runnable(re.sub(*FEWER, command)).replace("8000", str(port)) for command in own]
    serve = next(command for command in own if " serve " in command)
    rest = [command for command in own if command.startswith(("curl", "JOB="))]
    # With the process engine, which starts faster; tests/test_recipe.py has a service with Ray.
    with running(f"{serve} --engine process", tmp_path, f"http://127.0.0.1:{port}/readyz"):
        _run(curl_lines(port), tmp_path)
    check_curl_lines(tmp_path)
    for command in own:
        if command != serve and command not in rest:
            _run(command, tmp_path)
    assert json.loads((tmp_path / "runs" / "example-lift" / "result.json").read_text())["episodes"] == 2
    # docs/recipe.md: "the losses are those of one process, up to rounding".
    assert _losses(tmp_path / "runs" / "shared") == pytest.approx(_losses(tmp_path / "runs" / "example"), rel=1e-3)
    # The others are of tests/test_other_readers.py.
    code, *_ = blocks("docs/data-format.md", "python")
    shape = _run(f"{sys.executable} -c {shlex.quote(code + 'print(q.shape[1])')}", tmp_path)
    assert shape == "7\n"


def _losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines for name in ("loss", "validation_loss") if name in line]


def test_no_page_has_commands_that_nothing_runs() -> None:
    pages = {page: commands(page) for page in all_pages() if commands(page)}
    assert set(pages) == {*PAGES, *OTHER_PAGES}
    for page, tests in OTHER_PAGES.items():
        for test in tests:
            assert page in (ROOT / test).read_text(), test
    every = [command for lines in pages.values() for command in lines]
    assert {command for command in every if re.match(r"make |.*docker compose ", command)} == set(ELSEWHERE)
    for page in all_pages():
        assert not re.search(r"^```(bash|shell|console|shell-session)$", (ROOT / page).read_text(), re.MULTILINE), page


@pytest.mark.parametrize("page", all_pages())
def test_make_knows_what_the_page_gives_it(page: str) -> None:
    """The targets are there, and every NAME=value reaches a command."""
    quoted = re.findall(r"`(make [a-z][^`\n]*)`", (ROOT / page).read_text())
    for command in {*quoted, *(command for command in commands(page) if command.startswith("make "))}:
        _, target, *settings = shlex.split(command)
        # As if everything were installed, and without running anything.
        would = subprocess.run(
            ["make", "--dry-run", "--assume-old", ".venv/.ready", target, *settings],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert would.returncode == 0, f"{command}\n{would.stderr}"
        for setting in settings:
            assert setting.partition("=")[2] in would.stdout, f"{command}\n{would.stdout}"


def test_links_lead_somewhere() -> None:
    for page in all_pages():
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text()):
            if not target.startswith("http"):
                assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_make_help_names_every_target_of_the_readme() -> None:
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "check", "fix", "test", "bench", "up", "down", "train-decoupled"):
        assert re.search(rf"^\s*(\x1b\[1m)?{target}\s", text, re.MULTILINE), target
