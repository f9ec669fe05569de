"""Tries every mutant and says which test kills it: `make mutants`, or `python -m tests.mutants --only TEXT`."""

import argparse
import sys
from pathlib import Path

from tests.mutants.table import ROOT, Mutant, read_table
from tests.mutants.trial import copied_tree


def main(arguments: list[str], mutants: list[Mutant], root: Path = ROOT) -> int:
    """Tries mutants of the tree at `root`. Returns 0 if all are killed, 1 if not, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose name or file has TEXT in it")
    only = parser.parse_args(arguments).only
    chosen = [mutant for mutant in mutants if only in mutant.name or only in mutant.file]
    if not chosen:
        parser.error(f"no mutant has {only!r} in its name or file")
    try:
        return _try_all(chosen, root)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _try_all(mutants: list[Mutant], root: Path) -> int:
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    survived = 0
    with copied_tree(root) as tree:
        unchanged = tree.passes(tests)
        if unchanged.killed_by or " passed" not in unchanged.said:
            print(f"the tests fail on the code as it is, so they show nothing:\n{unchanged.said}", file=sys.stderr)
            return 1
        print(f"{len(tests)} tests pass on the code as it is, {unchanged.seconds:.0f} s", flush=True)
        for mutant in mutants:
            verdict = tree.try_out(mutant)
            by = f"killed by {verdict.killed_by}" if verdict.killed_by else f"SURVIVED\n{verdict.said}"
            print(f"{mutant.name} ({mutant.file}), {verdict.seconds:.0f} s: {by}", flush=True)
            survived += not verdict.killed_by
    print(f"{len(mutants) - survived} of {len(mutants)} mutants killed")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], read_table()))
