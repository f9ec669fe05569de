"""docs/rest.md: its commands and its Python, as they stand, against a real service."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.api.settings import Settings
from tests.pages import ROOT, blocks, free_port, runnable, running

PAGE = "docs/rest.md"


def test_every_setting_is_documented_with_its_default() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    for name, field in Settings.model_fields.items():
        row = next((line for line in page.splitlines() if f"`HEADSTART_{name.upper()}`" in line), None)
        assert row is not None, name
        if field.default is not None:
            default = f"{field.default:,}" if type(field.default) is int and name != "port" else f"{field.default}"
            assert default.removesuffix(".0") in row, row


def test_every_line_of_the_page_works(tmp_path: Path) -> None:
    serve, *others = blocks(PAGE, "sh")
    port = str(free_port())
    # With the process engine, which starts faster, and on a port that is free.
    serve = runnable(f"{serve.strip()} --engine process").replace("8000", port)
    with running(serve, tmp_path, f"http://localhost:{port}/readyz"):
        # One script, since later lines use JOB; curl's errors end it, and its answers are told apart by a line.
        script = (
            "\n".join(others)
            .replace("localhost:8000", f"localhost:{port}")
            .replace("curl -s", "curl -sS --noproxy '*'")
        )
        # Containers are started elsewhere, and the service here has no key.
        script = script.replace("$(docker compose exec -T service cat /data/api-key)", "none")
        script = re.sub(r"^(curl|JOB)", r"echo; echo ==; \1", script, flags=re.MULTILINE)
        done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        answers = [json.loads(text) for part in done.stdout.split(b"==")[1:] if (text := part.strip()).startswith(b"{")]
        _check(answers, tmp_path)
        code = "\n".join(blocks(PAGE, "python")).replace("localhost:8000", f"localhost:{port}")
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stdout.split() == ["500", "500"], ran.stderr


def _check(answers: list[dict[str, object]], folder: Path) -> None:
    problems = [answer for answer in answers if "title" in answer]
    assert problems == [json.loads(blocks(PAGE, "json")[-1])]
    kinds = [next(iter(answer)) for answer in answers]
    expected = [
        "id",
        "jobs",
        "id",
        "header",
        "shards",
        "id",
        "id",
        "robot",
        "robots",
        "status",
        "status",
        "version",
        "type",
        "jobs",
    ]
    assert kinds == expected
    assert json.loads((folder / "coverage.json").read_text())["sampled_rows"] > 0
    assert "headstart_rows_total" in (folder / "metrics.txt").read_text()
    assert answers[6]["state"] in ("cancelling", "cancelled")
    table = pa.ipc.open_stream((folder / "rows.arrow").read_bytes()).read_all()
    assert table.column("trajectory_id").to_pylist() == list(range(2000))
    assert pq.read_table(folder / "shard-00000000.parquet").num_rows == 500
