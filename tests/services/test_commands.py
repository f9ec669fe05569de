"""What commands of the service import: no more than they use."""

import subprocess
import sys

import pytest

from tests.services.example import ROOT

HELP = """
import contextlib, io, sys
from services.__main__ import main
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    main()
print(*sorted({"fastapi", "numba", "pinocchio", "ray"} & sys.modules.keys()))
print(said.getvalue())
"""


def _help(*arguments: str) -> tuple[list[str], str]:
    """Heavy packages that were imported, and the help."""
    command = [sys.executable, "-c", HELP, *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    heavy, _, said = done.stdout.partition("\n")
    return heavy.split(), said


@pytest.mark.parametrize(
    ("command", "imports"),
    [("report", []), ("export", []), ("audit", ["pinocchio"]), ("generate", ["numba", "pinocchio"])],
)
def test_a_command_imports_what_it_uses(command: str, imports: list[str]) -> None:
    heavy, said = _help(command)
    assert heavy == imports
    assert said.startswith(f"usage: python -m services {command} [-h]")


def test_help_names_every_command() -> None:
    _, said = _help()
    for command in ("generate", "serve", "audit", "report", "export"):
        assert f"\n    {command} " in said
