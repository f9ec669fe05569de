"""One service, one data folder."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from headstart_client.data.object_store import ObjectStorage
from services.jobs import claim
from services.jobs.claim import claimed
from shared.errors import ConfigError
from tests.pages import ROOT
from tests.services.example import RunningService, running_service


def test_a_second_service_on_a_folder_is_refused_by_name_of_the_first(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-m", "services", "serve", "--data", str(data), "--engine", "process", "--port", "0"]
    with running_service(data, "--engine", "process", is_warm=False) as first:
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 2
        said = f"error: {data} is served by {first.url} (process {first.pid} on "
        assert said in second.stderr
        assert second.stderr.rstrip().endswith("already; stop that service, or give this one another --data")
        first.kill()
        # Killed or stopped, it is free at once.
        third = RunningService(data, "--engine", "process", is_warm=False)
    assert third.stop() == 0


def test_a_folder_has_one_claim_until_it_is_released(tmp_path: Path) -> None:
    first = claimed(tmp_path, "http://first")
    with pytest.raises(ConfigError, match=r"is served by http://first \(process \d+ on .*\) already"):
        claimed(tmp_path, "http://second")
    first.release()
    claimed(tmp_path, "http://second").release()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_RENEWED_EVERY_S", 0.05), ("_GONE_AFTER_S", 1.0), ("_SETTLED_S", 0.2)):
        monkeypatch.setattr(claim, name, seconds)


@pytest.mark.usefixtures("quick")
def test_a_second_claim_on_a_bucket_is_refused_while_the_first_is_renewed(bucket_uri: str) -> None:
    first = claimed(bucket_uri, "http://first")
    with pytest.raises(ConfigError, match=r"is served by http://first \(process \d+ on .*\) already"):
        claimed(bucket_uri, "http://second")
    first.release()
    began = time.monotonic()
    second = claimed(bucket_uri, "http://second")
    assert ObjectStorage(bucket_uri).read(".service") is not None
    second.release()
    assert ObjectStorage(bucket_uri).read(".service") is None
    assert time.monotonic() - began < 60


@pytest.mark.usefixtures("quick")
def test_a_killed_services_claim_on_a_bucket_is_taken_over(bucket_uri: str) -> None:
    killed = claim.BucketClaim(bucket_uri, "killed")
    # Its renewals end with it.
    killed._ended.set()
    killed._thread.join()
    second = claimed(bucket_uri, "http://second")
    with pytest.raises(ConfigError, match="http://second"):
        claimed(bucket_uri, "http://third")
    second.release()
