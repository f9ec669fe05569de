import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import LONG_BODY


@dataclass
class Event:
    kind: str
    data: dict[str, Any]
    id: str


def events(lines: Iterator[str]) -> Iterator[Event]:
    """As the specification has it: fields up to an empty line."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields.keys() - {""}:
            yield Event(fields["event"], json.loads(fields["data"]), fields["id"])
            fields = {}


def follow(api: httpx.Client, job_id: str, last: str | None = None, **params: Any) -> list[Event]:
    headers = {} if last is None else {"Last-Event-ID": last}
    with api.stream("GET", f"/v1/jobs/{job_id}/events", params=params, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return list(events(response.iter_lines()))


def test_events_tell_everything_in_order_and_end(api: httpx.Client, finished: dict[str, Any]) -> None:
    told = follow(api, finished["id"])
    commits = [event for event in told if event.kind == "commit"]
    assert [event.data for event in commits] == api.get(f"/v1/jobs/{finished['id']}/shards").json()["shards"]
    assert [event.id for event in commits] == [str(n) for n in range(1, 13)]
    progress, last = told[-2:]
    assert (progress.kind, progress.data) == ("progress", finished["progress"])
    assert (last.kind, last.data, last.id) == ("state", {"state": "succeeded", "reason": ""}, "12.succeeded")


def test_events_go_on_where_the_caller_stopped(api: httpx.Client, finished: dict[str, Any]) -> None:
    for told in (follow(api, finished["id"], last="7"), follow(api, finished["id"], after=6)):
        assert [event.data["index"] for event in told if event.kind == "commit"] == [7, 8, 9, 10, 11]
    # Past its last event there is nothing more, which stops an EventSource from calling again.
    path = f"/v1/jobs/{finished['id']}/events"
    assert api.get(path, headers={"Last-Event-ID": "12.succeeded"}).status_code == 204
    assert [event.kind for event in follow(api, finished["id"], last="12.cancelled")] == ["progress", "state"]
    # From another life of the job, with more shards.
    assert [event.kind for event in follow(api, finished["id"], last="99")] == ["progress", "state"]


@pytest.mark.parametrize("last", ["x", "-1", "1.2.3", "9" * 30, "1.succeeded\x7f", "%00", "1 2", "\u00e9"])
def test_hostile_event_ids_are_refused(api: httpx.Client, finished: dict[str, Any], last: str) -> None:
    response = api.get(f"/v1/jobs/{finished['id']}/events", headers={b"Last-Event-ID": last.encode()})
    assert problem(response, 422)["errors"][0]["pointer"] == "/header/Last-Event-ID"


def test_events_follow_a_job_that_is_cancelled(api: httpx.Client) -> None:
    job = api.post("/v1/jobs", json={**LONG_BODY, "shard_rows": 50, "seed": 75}).json()
    told: list[Event] = []
    seen = threading.Event()

    def listen() -> None:
        with api.stream("GET", f"/v1/jobs/{job['id']}/events") as response:
            for event in events(response.iter_lines()):
                told.append(event)
                if event.kind == "commit":
                    seen.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert seen.wait(60)
    api.post(f"/v1/jobs/{job['id']}:cancel").raise_for_status()
    listener.join(20)
    ended = wait_until_ended(api, job["id"])
    indices = [event.data["index"] for event in told if event.kind == "commit"]
    assert indices == list(range(len(indices)))
    assert [event.data["state"] for event in told if event.kind == "state"][-1] == "cancelled"
    last = [event.data for event in told if event.kind == "progress"][-1]
    assert last == ended["progress"]
    assert last["attempts"] == last["accepted"] + sum(last["rejections"].values())
    assert last["rows_per_s"] > 0
    assert last["remaining_s"] > 0


def test_too_many_streams_are_refused_and_counted_down(api: httpx.Client, finished: dict[str, Any]) -> None:
    job = api.post("/v1/jobs", json={**LONG_BODY, "seed": 76}).json()
    path = f"/v1/jobs/{job['id']}"
    limits = httpx.Limits(max_connections=None)
    with httpx.Client(base_url=api.base_url, timeout=60, trust_env=False, limits=limits) as many:
        open_ones = [many.send(many.build_request("GET", f"{path}/events"), stream=True) for _ in range(20)]
        assert [response.status_code for response in open_ones] == [200] * 20
        for call in (f"{path}/events", f"{path}/stream", f"{path}/manifest?wait=5"):
            refused = api.get(call)
            assert refused.headers["retry-after"] == "30"
            problem(refused, 429)
        # What does not last goes on.
        assert api.get(f"{path}/manifest").status_code == 200
        for response in open_ones:
            response.close()
    api.post(f"{path}:cancel").raise_for_status()
    wait_until_ended(api, job["id"])
    while "headstart_streams 0.0" not in api.get("/metrics").text:
        time.sleep(0.02)
    assert follow(api, finished["id"])[-1].kind == "state"
