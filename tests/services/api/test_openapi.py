"""The OpenAPI document is the contract: schemathesis calls every operation with what it allows and what it doesn't."""

import json
import os
import subprocess
import sys
from pathlib import Path

from shared.client import Client
from tests.services.example import running_service

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "6")
"""For each operation; 60 of them make more than 3,000 cases: `make test-openapi`."""
LIMITS = {"HEADSTART_MAX_ROWS": "8", "HEADSTART_MAX_QUEUED_JOBS": "3", "HEADSTART_PREVIEW_SECONDS": "5"}


def test_every_answer_is_as_the_document_says(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", "--engine", "process", "--workers", "1", env=LIMITS) as service:
        with Client(service.url) as client:
            client.wait_ready()
            client.submit({"robot": "panda", "count": 4, "shard_rows": 2})
        report = tmp_path / "report.json"
        arguments = ["--config-file", str(Path(__file__).with_name("schemathesis.toml"))]
        arguments += ["run", f"{service.url}/openapi.json", "--seed", "20261122", "--max-examples", EXAMPLES]
        # Processes are started with the first call that wants one, which on a busy machine takes a minute.
        arguments += ["--request-timeout", "120", "--max-response-time", "120"]
        arguments += ["--checks", "all", "--mode", "all", "--report", "json", "--report-json-path", str(report)]
        done = subprocess.run(
            [str(Path(sys.executable).with_name("schemathesis")), *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(report.read_text())
        log = service.log.read_text()
    assert (found["operations"]["tested"], found["operations"]["errored"]) == (27, 0)
    print(f"{found['test_cases']['generated']} cases, {found['test_cases']['with_failures']} failures")
    assert found["test_cases"]["generated"] > (3000 if int(EXAMPLES) >= 60 else 500)
    assert found["test_cases"]["with_failures"] == found["test_cases"]["errored"] == 0
    assert "Traceback" not in log, log
