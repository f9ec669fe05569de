from collections.abc import Iterator
from pathlib import Path

import pytest

from services.engine import InlineEngine, RayEngine
from services.jobs import begin, generate
from shared.dataset import Dataset
from tests.services.example import REQUEST


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """REQUEST's dataset, made inline and undisturbed."""
    return generate(REQUEST, tmp_path_factory.mktemp("reference") / "dataset", InlineEngine())


@pytest.fixture(scope="session")
def ray_of_two() -> Iterator[RayEngine]:
    """One Ray with two workers for the whole session: it takes seconds to start."""
    engine = RayEngine(2)
    engine.start()
    yield engine
    engine.close()


@pytest.fixture
def empty(tmp_path: Path) -> Dataset:
    """REQUEST's dataset with no shard yet."""
    return begin(REQUEST, tmp_path / "dataset")
