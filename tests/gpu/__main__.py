"""`make test-gpu`: the tests that need a GPU, or one line where there is none."""

import os
import sys

import pytest
import torch

from tests.gpu import DEVICE_VARIABLE


def main() -> int:
    """Runs them with the arguments of the command line added."""
    if DEVICE_VARIABLE not in os.environ and not torch.cuda.is_available():
        print(
            f"skipped: torch {torch.__version__} finds no GPU here ({DEVICE_VARIABLE}=cpu runs the tests without one)"
        )
        return 0
    return int(pytest.main(["-m", "gpu", "tests/gpu", *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
