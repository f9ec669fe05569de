"""Policies, heads and demonstrations on the Hub, by the real huggingface_hub against a server of its protocol."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from tests.pages import ROOT
from tests.trainer.data.demonstrations.written import LIFT, unpack_lerobot, unpack_lift
from tests.trainer.hub_server import TOKEN, Hub, Repository, serving_hub
from trainer.commands.push import _result
from trainer.commands.push import run as push
from trainer.deployment.publishing.card import card
from trainer.hub import HubAddress, demonstrations_here
from trainer.training.checkpoint import find_checkpoint, read_info
from trainer.training.checkpoint_info import Stage1Record

ASK = """
import contextlib, io, json, os, sys
from trainer.__main__ import main
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    arguments, os.environ["HF_TOKEN"] = json.loads(line)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class Trainer:
    """One process of the trainer's commands, asked again and again; all that it ever said is in `said`."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process, self.folder, self.said = process, folder, list[str]()

    @classmethod
    @contextmanager
    def started(cls, folder: Path, url: str) -> Iterator["Trainer"]:
        environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        environment |= {"HF_ENDPOINT": url, "HF_HOME": str(folder / "hf"), "NO_PROXY": "127.0.0.1"}
        environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        # Large files by git-lfs: what moves them by chunks (hf_xet) has a storage of its own.
        environment |= {"HF_HUB_DISABLE_XET": "1"}
        with (folder / "stderr").open("w") as log, subprocess.Popen(
            [sys.executable, "-c", ASK], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log, text=True,
        ) as process:  # fmt: skip
            # Leaving closes what it reads, at which it ends.
            yield cls(process, folder)
        assert process.returncode == 0

    def __call__(self, *arguments: object, token: str = "") -> tuple[int, str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([[str(argument) for argument in arguments], token]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, arguments
        code, out, err = json.loads(line)
        self.said += [out, err]
        assert "Traceback" not in out + err
        return code, out, err


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serving_hub() as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the process runs, and where huggingface_hub keeps what it fetched."""
    return tmp_path_factory.mktemp("trainer")


@pytest.fixture(scope="module")
def ask(hub: Hub, home: Path) -> Iterator[Trainer]:
    with Trainer.started(home, hub.url) as made:
        yield made


@pytest.fixture(scope="module")
def pushed(low_dim_run: Path, hub: Hub, ask: Trainer, home: Path) -> tuple[Path, str]:
    """A run that was pushed to me/reach, privately, with all that its card can show; and what the command printed."""
    run = home / "runs" / "reach"
    shutil.copytree(low_dim_run, run)
    result: dict[str, object] = {"task": "reach", "mode": "random_body", "demonstrations": 6, "seed": 0}
    result |= {"checkpoint_step": read_info(run).step, "episodes": 10, "successes": 7}
    (run / "result.json").write_text(json.dumps({**result, "border_jump_m": 0.0123}))
    others = [{**result, "mode": "normal", "successes": 6}, {**result, "task": "other", "successes": 1}]
    (run.parent / "report.json").write_text(json.dumps({"results": [result, *others]}))
    checks = [{"name": "self-collision", "checked": 480, "violations": 0}, {"name": "tool", "checked": 0}]
    (home / "audit.json").write_text(json.dumps({"checks": checks, "rows": 48, "violations": 0}))
    options = ("--license", "apache-2.0", "--private", "--audit", "audit.json")
    code, out, err = ask("push", run, "me/reach", *options, token=TOKEN)
    assert (code, err) == (0, "")
    return run, out


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_push_is_weights_and_a_card(pushed: tuple[Path, str], hub: Hub) -> None:
    run, out = pushed
    repository = hub.repositories["models", "me/reach"]
    commit, files = repository.commits[1]
    checkpoint, info = find_checkpoint(run), read_info(run)
    hash_of = sha256(checkpoint.read_bytes())
    assert out == f"pushed: {hub.url}/me/reach/commit/{commit}\ncheckpoint: sha256 {hash_of}\n"
    assert repository.private
    backbone = f"backbones/{info.backbone}.safetensors"
    assert set(files) == {"README.md", f"checkpoints/{checkpoint.name}", backbone}
    assert sha256(files[backbone]) == info.backbone
    text = files["README.md"].decode()
    assert text.startswith('---\nlicense: "apache-2.0"\nlibrary_name: "headstart"\npipeline_tag: "robotics"\n')
    for words in (
        f"headstart fetch me/reach --out runs/reach --sha256 {hash_of}",
        "| position | -1, -1, 0 | 1, 1, 2 |",
        "(48 rows): 0 violations",
        "| self-collision | 480 | 0 |",
        "| successes in simulation | 7 of 10 (70%) |",
        "| jump between two chunks, 95th percentile [m] | 0.0123 |",
        "| normal | 6 | 0 | 6 of 10 |",
    ):
        assert words in text, words
    assert "1 of 10" not in text


def test_a_policy_is_fetched_by_its_hash(pushed: tuple[Path, str], hub: Hub, ask: Trainer, tmp_path: Path) -> None:
    run, _ = pushed
    checkpoint, info = find_checkpoint(run), read_info(run)
    hash_of, repository = sha256(checkpoint.read_bytes()), hub.repositories["models", "me/reach"]
    commit, files = repository.commits[1]
    backbone, pinned = f"backbones/{info.backbone}.safetensors", f"me/reach@{commit}"
    # A second push takes the place of the first; what has not changed is not sent again.
    again = tmp_path / "again"
    shutil.copytree(run, again)
    (again / "checkpoints" / checkpoint.name).rename(again / "checkpoints" / "step-00000002.safetensors")
    shown = json.loads((again / "result.json").read_text())
    step = shown["checkpoint_step"]
    (again / "result.json").write_text(json.dumps({**shown, "checkpoint_step": step + 1}))
    uploads = sum(line.startswith("PUT /lfs") for line in hub.asked)
    code, _, err = ask("push", again, "me/reach", "--license", "mit", token=TOKEN)
    assert code == 0
    assert f"is of checkpoint_step {step + 1}, the pushed checkpoint's is {step}" in err
    assert b"successes in simulation" not in repository.commits[-1][1]["README.md"]
    assert sum(line.startswith("PUT /lfs") for line in hub.asked) == uploads
    assert set(repository.commits[-1][1]) == {"README.md", "checkpoints/step-00000002.safetensors", backbone}

    for name, hashed, step in ((pinned, hash_of, checkpoint.name), ("me/reach", info.backbone, "step-00000002")):
        target = tmp_path / f"at-{step}"
        code, out, err = ask("fetch", f"hf://{name}", "--out", target, "--sha256", hashed, token=TOKEN)
        assert (code, err) == (0, "")
        (found,) = (target / "checkpoints").iterdir()
        assert out == f"fetched: {found}\n"
        assert found.name.startswith(step)
        assert not found.is_symlink()
        assert sha256(found.read_bytes()) == hash_of
        assert (target / backbone).read_bytes() == files[backbone]
    # Again into the same folder it is the same; another's is left alone.
    assert ask("fetch", "me/reach", "--out", target, token=TOKEN)[0] == 0
    refused = {
        ("fetch", pinned, "--out", target): "holds another checkpoint",
        ("fetch", "me/reach", "--out", "no", "--sha256", "0" * 64): (
            f"holds checkpoint {hash_of}, its backbone {info.backbone}; neither is {'0' * 64}"
        ),
        ("fetch", "me/reach@nothing", "--out", "no"): "has no such revision",
        ("push", run, "me/reach@main", "--license", "mit"): "names a revision",
        ("push", run, "nobody", "--license", "mit"): "is no address on the Hub",
    }
    for arguments, words in refused.items():
        code, _, err = ask(*arguments, token=TOKEN)
        assert (code, err.count("\n")) == (2, 1)
        assert words in err
    # What was damaged on its way is refused; files that could hold code are not even asked for.
    repository.commit({**files, backbone: files[backbone][:-8] + bytes(8), "evil.pt": b"", "checkpoints/a.pkl": b""})
    code, _, err = ask("fetch", "me/reach", "--out", "no", token=TOKEN)
    assert (code, "is not backbone" in err) == (2, True)
    assert not [line for line in hub.asked if "evil" in line or "pkl" in line]
    assert not (ask.folder / "no").exists()


def test_who_may_not_is_told_so(pushed: tuple[Path, str], hub: Hub, ask: Trainer) -> None:
    hub.repositories["models", "me/secret"] = Repository(private=True)
    code, _, err = ask("fetch", "me/secret@main", "--out", "no", token="hf_other")
    assert code == 2
    assert err == (
        f"error: hf://me/secret@main: there is no such policy or head on {hub.url}, or it is not for you; look at its "
        "name, and log in with `hf auth login`, or HF_TOKEN, if it is private\n"
    )
    code, _, err = ask("push", pushed[0], "me/other", "--license", "mit", token="hf_other")
    assert code == 2
    assert err == f"error: hf://me/other: {hub.url} answered 401: log in with `hf auth login`, or HF_TOKEN\n"
    # All that was said and written so far, the Hub's own files too.
    kept = [path.read_text(errors="replace") for path in ask.folder.rglob("*") if path.is_file()]
    assert not [text for text in (*ask.said, *kept) if TOKEN in text or "hf_other" in text]


def test_demonstrations_are_fetched(hub: Hub, ask: Trainer, tmp_path: Path) -> None:
    folder = unpack_lerobot("v3.0", tmp_path) / "poses"
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    contents = {"lift": {**files, "load.py": b"exit"}, "two": {"a.hdf5": b"", "b.hdf5": b""}}
    contents["robomimic"] = {"low_dim.hdf5": unpack_lift(tmp_path).read_bytes()}
    for name, content in contents.items():
        hub.repositories["datasets", f"someone/{name}"] = Repository()
        hub.repositories["datasets", f"someone/{name}"].commit(content)
    pinned = f"hf://someone/lift@{hub.repositories['datasets', 'someone/lift'].commits[-1][0]}"

    here = ask("inspect", folder)
    assert here[0] == 0
    assert here[1].startswith("LeRobot v3.0: ")
    assert ask("inspect", pinned) == ask("inspect", "hf://someone/lift") == here
    assert not [line for line in hub.asked if "load.py" in line]
    (tmp_path / "lift.json").write_text(json.dumps(LIFT))
    (tmp_path / "range.json").write_text(json.dumps({"position": {"min": [-9, -9, -9], "max": [9, 9, 9]}}))
    settings = ["--mode", "random_body", "--steps", "1", "--batch-size", "2", "--compile", "off", "--size", "tiny"]
    given = ["--mapping", tmp_path / "lift.json", "--out", tmp_path / "run", "--action-range", tmp_path / "range.json"]
    code, out, err = ask("adapt", "--demos", "hf://someone/robomimic", *given, *settings)
    assert (code, out.count("1 steps in")) == (0, 1), err
    assert find_checkpoint(tmp_path / "run").name == "step-00000001.safetensors"
    code, _, err = ask("inspect", "hf://someone/two")
    assert err == "error: hf://someone/two is no LeRobot data set, and has 2 HDF5 files; it needs to have one\n"
    code, _, err = ask("inspect", "hf://someone/nothing")
    assert (code, "there is no such data set on" in err) == (2, True)

    # Without the network: what was fetched is there, and what was not is a line.
    with Trainer.started(ask.folder, "http://127.0.0.1:9") as away:
        assert away("inspect", pinned) == here
        for command in (
            ("inspect", "hf://someone/new"),
            ("fetch", "someone/new", "--out", "no"),
            ("push", tmp_path / "run", "me/new", "--license", "mit"),
        ):
            code, out, err = away(*command)
            assert (code, out, err.count("\n")) == (2, "", 1), err
            assert "/new: http://127.0.0.1:9 can't be reached" in err


def test_where_a_run_is_read_its_address_will_do(low_dim_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def fetched(*arguments: object) -> Path:
        asked.extend(arguments)
        return low_dim_run

    monkeypatch.setattr("trainer.hub.fetched", fetched)
    assert find_checkpoint("hf://me/reach@v1") == find_checkpoint(low_dim_run)
    assert asked[:2] == [HubAddress("me/reach", "v1"), "model"]
    assert all(str(pattern).endswith(".safetensors") for pattern in asked[2])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://user/name", HubAddress("user/name", None)),
        ("hf:/user/na.me-2@v1.0", HubAddress("user/na.me-2", "v1.0")),
        ("hf://user/name@refs/pr/1", HubAddress("user/name", "refs/pr/1")),
        ("runs/hf:/user", None),
    ],
)
def test_addresses(text: str, expected: HubAddress | None) -> None:
    assert HubAddress.of(text) == HubAddress.of(Path(text)) == expected
    if expected is not None:
        assert HubAddress.of(str(expected)) == expected


@pytest.mark.parametrize("text", ["hf://user", "hf://user/name@", "hf://user/name/more", "hf://u ser/name"])
def test_half_an_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address on the Hub; write hf://user/name"):
        demonstrations_here(Path(text))


def test_without_huggingface_hub_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        ConfigError, match=r"needs huggingface_hub, which is not installed: pip install 'headstart\[hub\]'"
    ):
        demonstrations_here(Path("hf://user/name"))


def test_a_result_of_another_checkpoint_or_task_is_left_out(
    low_dim_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info, path = read_info(low_dim_run), tmp_path / "result.json"
    fitting = {"checkpoint_step": info.step, "task": info.task, "successes": 7, "episodes": 10}
    assert _result(path, info) is None
    path.write_text(json.dumps(fitting))
    assert _result(path, info) == fitting
    assert capsys.readouterr().err == ""
    for key, other in (("checkpoint_step", 2), ("task", "lift")):
        path.write_text(json.dumps({**fitting, key: other}))
        assert _result(path, info) is None
        assert f"left out of the card: {path} is of {key} {other!r}" in capsys.readouterr().err
    path.write_text("[]")
    with pytest.raises(ConfigError, match="is no result of `evaluate`"):
        _result(path, info)


@pytest.mark.parametrize(
    ("shares", "recorded", "said"),
    [
        (None, None, "generated trajectories: `a`"),
        (None, ["a"], "recorded motion: `a`"),
        ({"a": 0.5, "b": 0.5}, ["b"], "generated and recorded motion: `a`, `b`"),
    ],
)
def test_a_card_says_what_was_pretrained_on(
    low_dim_run: Path, shares: dict[str, float] | None, recorded: list[str] | None, said: str
) -> None:
    info = read_info(low_dim_run)
    head, record = replace(info.head, relative_actions=True), Stage1Record("a", "endpoints", 1.0, shares, recorded)
    text = card("me/head", replace(info, head=head, stage1=record), "0" * 64, "mit")
    assert f"| pretrained on | {said} |" in text
    assert "Hz, relative to the current state |" in text


def test_a_card_says_what_it_does_not_know(low_dim_run: Path, tmp_path: Path) -> None:
    text = card("me/head", read_info(low_dim_run), "0" * 64, "mit")
    for words in (
        "No audit of what it was pretrained on was given.",
        "None were given: nothing here says that pretraining helped.",
        "The arm's joint limits were not recorded with it",
    ):
        assert words in text
    for option, words in (("report", "is no report of a recipe"), ("audit", "is no audit")):
        (tmp_path / "other.json").write_text("{}")
        given: dict[str, Any] = {option: tmp_path / "other.json"}
        with pytest.raises(ConfigError, match=words):
            push(low_dim_run, "me/head", "mit", **given)
