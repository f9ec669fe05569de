"""A warm start is a start: what a test can ask of a process is what it is with the real Python."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import warm
from tests.warm.client import PASSED_ON

PROGRAM = "tests.warm.program"
ROOT = str(Path(__file__).resolve().parents[2])


def start(*words: str, python: str = "", **options: Any) -> "subprocess.Popen[str]":
    command = [*options.pop("before", ()), python or warm.python(PROGRAM), "-u", "-m", PROGRAM, *words]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ROOT, "SOME": "thing"}
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize(("words", "code"), [(("exit", "3"), 3), (("exit", "0"), 0), (("die", "9"), -9)])
@pytest.mark.parametrize("before", [(), ("nohup",)])
def test_it_says_of_itself_what_it_says_started_by_the_real_python(
    words: tuple[str, ...], code: int, before: tuple[str, ...], tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    said = []
    for python in (sys.executable, ""):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "pass_fds": [writing], "cwd": tmp_path}
        process = start(*words, python=python, before=before, **pipes)
        out, err = process.communicate("given")
        assert (process.returncode, "and that" in err) == (code, True)
        if code != -9:
            said.append(json.loads(out))
    assert said[1:] == said[:1]
    if code != -9:
        assert said[0]["input"] == "given"
        assert said[0]["folder"] == said[0]["path"][0] == str(tmp_path)
        assert writing in said[0]["descriptors"]
        assert said[0]["signals"]["SIGHUP"] == ("1" if before else "0")
    os.close(reading)
    os.close(writing)


def test_so_is_what_it_starts_by_multiprocessing(tmp_path: Path) -> None:
    said = []
    for python in (sys.executable, ""):
        process = start("spawn", "0", python=python, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path)
        out, _ = process.communicate("given")
        child = json.loads(out.splitlines()[1])
        # Its own end of the pipe, and what multiprocessing needs: numbers differ.
        child.pop("descriptors")
        said.append(child)
    assert said[1:] == said[:1]
    assert (said[0]["code"], said[0]["is_own"], said[0]["blocked"]) == (7, True, [signal.SIGINT])
    assert said[0]["arguments"] == ["spawn", "0"]


@pytest.mark.parametrize("sent", [*PASSED_ON, signal.SIGKILL])
def test_signals_reach_it_and_it_does_not_outlive_its_stand_in(sent: signal.Signals, tmp_path: Path) -> None:
    process = start("wait", "0", str(tmp_path / "pid"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.close()
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    program = psutil.Process(int((tmp_path / "pid").read_text()))
    assert program.pid != process.pid
    process.send_signal(sent)
    # Python ends itself by SIGINT, too, after a KeyboardInterrupt that nobody caught.
    assert process.wait(60) == -PASSED_ON.get(sent, sent)
    if sent == signal.SIGKILL:
        program.wait(60)
    assert not program.is_running()


def test_the_server_ends_with_who_started_it_and_leaves_nothing() -> None:
    script = f"import os\nfrom tests import warm\nprint(warm.python({PROGRAM!r}), flush=True)\nos._exit(0)"
    path = Path(subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True).strip())
    while path.parent.exists():
        time.sleep(0.01)


def test_all_else_is_left_to_the_real_python() -> None:
    words = [warm.python(PROGRAM), "-c", "import sys; print(sys.executable, sys.argv)", "-m"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"{sys.executable} ['-c', '-m']\n"


def test_a_stand_in_that_is_killed_before_it_has_asked_is_no_harm() -> None:
    place = Path(warm.python(PROGRAM)).parent / "socket"
    for said in (b"", b"\0\0\0", (9).to_bytes(8, "big") + b'{"a'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(place))
            connection.sendall(said)
    process = start("exit", "5", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.communicate()
    assert process.returncode == 5
