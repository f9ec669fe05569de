"""The table of mutants is in order, and what tries them tells killed ones from those that survive."""

import ast
import functools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.mutants.__main__ import main
from tests.mutants.table import ROOT, Mutant, read_table

MUTANTS = read_table()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_is_a_change_of_what_its_file_has_and_names_tests_that_there_are(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    changed = mutant.changed(text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    lines = [set(one.splitlines()) for one in (text, changed)]
    assert max(len(lines[0] - lines[1]), len(lines[1] - lines[0])) <= 1
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        functions = _functions(file)
        assert name.partition("[")[0] in functions if name else any(one.startswith("test_") for one in functions)


@functools.cache
def _functions(file: str) -> list[str]:
    """Names of a file's functions."""
    return [node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)]


def test_names_and_changes_are_given_once() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


def _mutant(name: str, new: str, test: str = "tests/test_half.py::test_half") -> Mutant:
    return Mutant(name, "halves/data/half.py", "return x / 2", new, (test,))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of its own, with one function and its test."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "halves/data").mkdir(parents=True)
    (tmp_path / "halves/data/half.py").write_text("def half(x):\n    return x / 2\n")
    (tmp_path / "tests/test_half.py").write_text(
        "from halves.data.half import half\n\n\ndef test_half():\n    assert half(2) == 1\n"
    )
    return tmp_path


def test_killed_mutants_and_those_that_survive_are_told_apart(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, right, broken = _mutant("wrong", "return x / 3"), _mutant("right", "return x * 0.5"), _mutant("broken", "(")
    assert main([], [wrong, right, broken], tree) == 1
    out = capsys.readouterr().out
    said = dict(re.findall(r"^(\w+) \(halves/data/half\.py\), \d+ s: (.*)$", out, re.MULTILINE))
    # What can't even be imported is noticed by no test.
    by = "killed by tests/test_half.py::test_half"
    assert said == {"wrong": by, "right": "SURVIVED", "broken": "SURVIVED"}
    assert out.endswith("1 of 3 mutants killed\n")
    assert main(["--only", "wro"], [wrong, right], tree) == 0
    assert capsys.readouterr().out.endswith("1 of 1 mutants killed\n")
    # Whatever became of them, the tree is as it was.
    assert (tree / "halves/data/half.py").read_text() == "def half(x):\n    return x / 2\n"


def test_what_shows_nothing_is_said(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = _mutant("absent", "return 0", "tests/test_half.py::test_none")
    assert main([], [absent], tree) == 1
    assert "the tests fail on the code as it is" in capsys.readouterr().err
    (tree / "tests/test_half.py").write_text("def test_half():\n    assert False\n")
    assert main([], [_mutant("any", "return 0")], tree) == 1
    assert "the tests fail on the code as it is" in capsys.readouterr().err
    with pytest.raises(ValueError, match="has its old text 0 times"):
        Mutant("gone", "halves/data/half.py", "return x / 4", "", ()).changed(
            (tree / "halves/data/half.py").read_text()
        )
    with pytest.raises(SystemExit):
        main(["--only", "no such name"], MUTANTS, tree)


def test_an_interrupt_leaves_nothing_behind(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    (tree / "tests/test_half.py").write_text(
        "import pathlib, time\n\n\ndef test_half():\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n"
    )
    script = (
        "import pathlib, sys\nfrom tests.mutants.__main__ import main\nfrom tests.mutants.table import Mutant\n"
        f"sys.exit(main([], [{_mutant('any', 'return 0')!r}], pathlib.Path({str(tree)!r})))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not list(temporary.glob("*/tree/begun")):
        assert process.poll() is None
        time.sleep(0.05)
    # As a terminal does: to all that it runs.
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "interrupted\n")
    assert list(temporary.iterdir()) == []
