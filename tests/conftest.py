"""What every test shares: no test depends on wall-clock speed, and every run draws the same examples."""

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.object_server import BUCKET, ENVIRONMENT, running_object_server

settings.register_profile("headstart", deadline=None, derandomize=True)
settings.load_profile("headstart")

# Child processes too: one thread each, and no Ray telemetry.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

ROOT = Path(__file__).parent

# A shell starts background jobs with SIGINT ignored, nohup with SIGHUP, and children inherit that: tests of these
# signals would then test nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


FIRST_FILES = (
    # Compiles what synthesis is made of, once: in the seconds of a first run, every process would for itself. Beside it
    # runs what needs none of that.
    "services/synthesis/test_processors.py",
    "trainer/test_overfitting.py",
    # The longest, so that the processes end together: what comes last takes a few seconds each.
    "test_recipe.py",
    "test_docs.py",
    "test_own_environment.py",
    "services/test_ray.py",
    "trainer/deployment/test_compiled_policy.py",
    "trainer/training/test_ranks.py",
    "trainer/training/test_resuming.py",
    "services/api/test_object_store.py",
    "services/api/test_docs.py",
    "services/api/test_openapi.py",
    "services/test_deployment.py",
    "trainer/deployment/serving/test_serving.py",
    "test_service_benchmarks.py",
    "test_your_data.py",
    "trainer/recipe/test_step_runner.py",
    "trainer/deployment/test_policies.py",
    "trainer/training/test_fake_gpu.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These files go first, in this order; the others follow in theirs."""
    places = {ROOT / name: place for place, name in enumerate(FIRST_FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


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
