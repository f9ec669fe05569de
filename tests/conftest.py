"""What every test shares: no test depends on wall-clock speed, and every run draws the same examples."""

import os
import signal
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.object_server import BUCKET, ENVIRONMENT, running_object_server

settings.register_profile("headstart", deadline=None, derandomize=True)
settings.load_profile("headstart")

# Child processes too: one thread each, and no Ray telemetry.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# A shell starts background jobs with SIGINT ignored, nohup with SIGHUP, and children inherit that: tests of these
# signals would then test nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


LONGEST_FILES = (
    "test_recipe.py",
    "test_docs.py",
    "test_steps.py",
    "test_overfitting.py",
    "test_your_data.py",
    "test_ray.py",
    "test_ranks.py",
    "test_fake_gpu.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files go first, so that the processes end together."""
    items.sort(key=lambda item: item.path.name not in LONGEST_FILES)


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a real S3 server, one for the whole session: it takes seconds to start."""
    with running_object_server(tmp_path_factory.mktemp("object-server")) as endpoint:
        yield endpoint


@pytest.fixture
def bucket_uri(object_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in that server's bucket, whose keys are in the environment."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/some/{uuid.uuid4().hex}?endpoint_override={object_server}"
