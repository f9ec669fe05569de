"""The one command: it leads to every command of both programs, and says what is missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headstart import doctor
from headstart.__main__ import main
from headstart.commands import COMMANDS
from services.__main__ import COMMANDS as SERVICE_COMMANDS
from shared.dataset import Dataset
from tests.pages import ROOT
from trainer.__main__ import COMMANDS as TRAINER_COMMANDS

BODY = {
    "robot": "panda",
    "count": 3,
    "rate_hz": 10.0,
    "families": {"hold": 1.0, "via_points": 2.0},
    "workspace": {"kind": "reachable"},
    "speed_scale": [0.2, 0.9],
    "columns": ["joint_acceleration"],
}


def test_every_command_of_both_programs_has_one_name() -> None:
    assert sorted(command.command for command in COMMANDS if command.program == "services") == sorted(SERVICE_COMMANDS)
    assert sorted(command.command for command in COMMANDS if command.program == "trainer") == sorted(TRAINER_COMMANDS)
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)


def test_help_lists_them_and_imports_no_library_that_takes_long() -> None:
    script = (
        "import sys; from headstart.__main__ import main; code = main(['--help']); "
        "print(sorted({'torch', 'numpy', 'ray', 'pinocchio', 'numba', 'services', 'trainer'} & set(sys.modules))); "
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    *listed, imported = done.stdout.splitlines()
    assert imported == "[]"
    names = {line.split()[0] for line in listed if line.startswith("  ")}
    assert names == {command.name for command in COMMANDS} | {"doctor", "completion"}


def test_flags_make_the_dataset_that_a_file_makes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "request.json").write_text(json.dumps(BODY))
    (tmp_path / "other.json").write_text(json.dumps({**BODY, "count": 5000, "goal": "position"}))
    flags = [
        *("--robot", "panda", "--count", "3", "--rate-hz", "10.0", "--families", "hold=1,via_points=2"),
        *("--workspace", "reachable", "--speed-scale", "0.2,0.9", "--columns", "joint_acceleration"),
    ]
    over = ["--request", str(tmp_path / "other.json"), "--count", "3", "--goal", "pose"]
    ways = {"file": ["--request", str(tmp_path / "request.json")], "flags": flags, "over": over}
    for name, arguments in ways.items():
        assert main(["generate", *arguments, "--engine", "inline", "--out", str(tmp_path / name)]) == 0
    made = [Dataset(tmp_path / name) for name in ways]
    assert len({dataset.header.dataset_id for dataset in made}) == 1
    assert len({commit.content_sha256 for dataset in made for commit in dataset.commits()}) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--robot", "panda", "--count", "many"], "/count: input should be a valid integer"),
        (["--robot", "panda", "--count", "3", "--workspace", '{"kind"'], "/workspace: '{\"kind\"' begins as JSON does"),
        (["--robot", "panda", "--count", "3", "--workspace", "nowhere"], "/workspace: "),
        (["--robot", "panda", "--count", "3", "--families", "hold=much"], "/families/hold: "),
        (["--robot", "7", "--count", "3"], "/robot: "),
        (["--count", "3"], "/robot: this key is required"),
    ],
)
def test_a_wrong_flag_is_named_as_the_key_it_sets(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", *flags, "--engine", "inline", "--out", str(tmp_path / "d")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name", ["generate", "policy", "export-policy"])
def test_a_command_knows_how_it_was_called(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert f"usage: headstart {name} " in capsys.readouterr().out


def test_what_is_no_command_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["genrate"]) == 2
    assert "no command 'genrate'; headstart --help lists them" in capsys.readouterr().err


def test_a_program_that_is_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    monkeypatch.setattr("headstart.__main__.importlib.import_module", missing)
    assert main(["audit", "data"]) == 2
    assert "headstart audit needs 'numba', which is not installed: pip install 'headstart[services]'" in (
        capsys.readouterr().err
    )


def test_the_doctor_finds_everything_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(part["name"], part["missing"], part["unfit"]) for part in found["parts"]] == [
        ("services", [], []), ("trainer", [], []), ("hub", [], []), ("simulation", [], []),
    ]  # fmt: skip
    assert found["machine"]["cores"] >= 1
    assert found["packages"]["torch"].startswith("2.13.0")


def test_the_doctor_says_what_is_missing_and_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = {"pydantic": "1.10.2", "torch": None}
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, real(name)))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "MISSING services" in out
    assert "pydantic 1.10.2 (needs >=2)" in out
    assert "torch is missing" in out
    assert "pip install 'headstart[trainer]'" in out
    assert "ok      simulation" in out


def test_bash_completes_commands_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    (tmp_path / "headstart").write_text(capsys.readouterr().out)
    script = (
        'source "$1"; COMP_WORDS=(headstart adapt --pre); COMP_CWORD=2; COMP_LINE="headstart adapt --pre"; '
        'COMP_POINT=${#COMP_LINE}; _shtab_headstart headstart --pre adapt; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(tmp_path / "headstart")], capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.split()) == ["--precision", "--prediction-type"]
    assert main(["completion", "csh"]) == 2
    assert "one of bash, zsh, tcsh" in capsys.readouterr().err
