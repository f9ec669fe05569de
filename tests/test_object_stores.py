"""The commands of docs/object-stores.md, on a real S3 server."""

import json
import os
import subprocess
from pathlib import Path

from tests.object_server import BUCKET, ENVIRONMENT
from tests.pages import ROOT, blocks, runnable


def test_every_command_of_the_page_works(object_server: str, tmp_path: Path) -> None:
    (script,) = blocks("docs/object-stores.md", "sh")
    for name, value in ENVIRONMENT.items():
        script = script.replace(f"{name}=...", f"{name}={value}")
    assert "..." not in script
    script = runnable(script).replace("s3://bucket/", f"s3://{BUCKET}/")
    request = {"robot": "panda", "count": 64, "workspace": {"kind": "joint_space"}}
    (tmp_path / "request.json").write_text(json.dumps(request))
    # As the page says of a server of one's own.
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env={**os.environ, "AWS_ENDPOINT_URL": object_server, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sealed: 1 of 1 shards, 64 rows" in done.stdout
    assert "20 steps in" in done.stdout
    assert not (tmp_path / "s3:").exists()
