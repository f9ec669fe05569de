import os
import random
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pytest

from services.__main__ import main
from services.jobs import begin
from shared.dataset import Dataset
from tests.services.example import BODY, LONG_BODY, REQUEST, command, contents, write_request


def _finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """In this process, which has everything imported."""
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def _commits(folder: Path) -> int:
    return len(list((folder / "commits").glob("*.json"))) if (folder / "commits").exists() else 0


def _wait_for_commits(process: "subprocess.Popen[str]", folder: Path, n: int) -> None:
    while _commits(folder) < n:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_stopped_anywhere_and_run_again_gives_the_same_dataset(
    tmp_path: Path, reference: Dataset, signum: signal.Signals
) -> None:
    rng = random.Random(int(signum))
    out = tmp_path / "dataset"
    arguments = ["generate", "--request", str(write_request(tmp_path, BODY)), "--out", str(out), "--workers", "2"]
    for stop_at in sorted(rng.sample(range(1, 11), 2 if signum == signal.SIGKILL else 1)):
        process = command(*arguments)
        _wait_for_commits(process, out, stop_at)
        # Ctrl-C reaches the whole group; a crash only the driver.
        (os.killpg if signum == signal.SIGINT else os.kill)(process.pid, signum)
        code, _, err = _finish(process)
        if signum == signal.SIGINT and code == 130:
            assert "run the same command again to go on" in err
            assert "Traceback" not in err
        if code != 0:
            dataset = Dataset(out)
            assert dataset.state().state == "growing"
            for commit in dataset.commits():
                assert dataset.read_shard(commit).num_rows == commit.rows
    code, _, err = _finish(command(*arguments))
    assert code == 0, err
    assert Dataset(out).state().state == "sealed"
    assert contents(Dataset(out)) == contents(reference)
    assert [c.file_sha256 for c in Dataset(out).commits()] == [c.file_sha256 for c in reference.commits()]


def test_progress_says_rate_and_what_is_left_and_a_second_run_has_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["generate", "--request", str(write_request(tmp_path, BODY)), "--out", str(tmp_path / "d")]
    code, _, err = _run(capsys, *arguments, "--engine", "inline")
    assert code == 0
    lines = err.splitlines()
    assert lines[0].startswith("40/230 ")
    assert re.search(r"/s, \d+:\d\d left, ", lines[0])
    assert "230 trajectories" in lines[-1]
    code, _, err = _run(capsys, *arguments)
    assert code == 0
    assert "holds this dataset already" in err


def test_a_full_disk_fails_with_its_reason_and_goes_on_when_there_is_room(tmp_path: Path, reference: Dataset) -> None:
    # A limit on file sizes stands in for a disk without room: writing fails in the same place, with OSError.
    out = tmp_path / "dataset"
    arguments = ["generate", "--request", str(write_request(tmp_path, BODY)), "--out", str(out), "--engine", "inline"]
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, -1)), "is_warm": False}
    small = command(*arguments, **limited)
    code, _, err = _finish(small)
    assert code == 2
    assert err.startswith("error: ")
    assert "File too large" in err
    assert "Traceback" not in err
    state = Dataset(out).state()
    assert state.state == "failed"
    assert "File too large" in state.reason
    code, _, err = _finish(command(*arguments))
    assert code == 0, err
    assert contents(Dataset(out)) == contents(reference)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "a request is a JSON object"),
        ('{"robot": "panda", "count": -3}', "/count: "),
        ('{"robot": "panda", "count": NaN}', "/count: "),
        ('{"robot": "pandas", "count": 3}', "/robot: unknown robot 'pandas'"),
        ('{"robot": "panda", "count": 3, "sped_scale": 1}', "/sped_scale: unknown key"),
        (
            '{"robot": "panda", "count": 2, "workspace": {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}}',
            "unreachable",
        ),
    ],
    ids=["half", "deep", "list", "negative", "NaN", "robot", "key", "unreachable"],
)
def test_a_request_that_can_not_be_made_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    path = tmp_path / "request.json"
    path.write_text(content)
    out_dir = str(tmp_path / "d")
    code, out, err = _run(capsys, "generate", "--request", str(path), "--out", out_dir, "--engine", "inline")
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_a_directory_that_holds_something_else_is_left_alone(
    tmp_path: Path, reference: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    request = str(write_request(tmp_path, LONG_BODY))
    before = {path: path.stat().st_mtime_ns for path in reference.root.rglob("*")}
    code, _, err = _run(capsys, "generate", "--request", request, "--out", str(reference.root))
    assert code == 2
    assert "choose another directory" in err
    assert {path: path.stat().st_mtime_ns for path in reference.root.rglob("*")} == before
    for missing, out in (("missing.json", tmp_path / "d"), (request, request)):
        code, _, err = _run(capsys, "generate", "--request", missing, "--out", str(out))
        assert (code, err.count("\n")) == (2, 1), err


def test_a_dataset_in_an_object_store_is_resumed_and_audited(
    bucket_uri: str, reference: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = begin(REQUEST, bucket_uri)
    first = reference.commits()[0]
    begun.publish(0, reference.read_shard(first), first.attempts, first.rejections)
    request = str(write_request(tmp_path, BODY))
    generate = ["generate", "--request", request, "--out", bucket_uri, "--engine", "process", "--workers", "1"]
    assert main(generate) == 0
    dataset = Dataset(bucket_uri)
    assert dataset.state().state == "sealed"
    assert contents(dataset) == contents(reference)
    assert main(["audit", bucket_uri]) == 0
    assert main(generate) == 0
    assert "holds this dataset already" in capsys.readouterr().err
    dataset.storage.replace(f"shards/{dataset.commits()[3].file}", pa.py_buffer(b"damaged"))
    assert main(["audit", bucket_uri]) == 1
    assert "has 7 bytes where" in capsys.readouterr().out
