"""What these tests compute on: the GPU, or what HEADSTART_TEST_DEVICE names, which may be the CPU."""

import os
from pathlib import Path

import pytest

from tests.gpu import DEVICE_VARIABLE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder are for a GPU."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(scope="session")
def device() -> str:
    return os.environ.get(DEVICE_VARIABLE, "cuda")
