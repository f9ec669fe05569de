import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import BODY, RunningService

IDS = [
    "..",
    "../../etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..",
    "a" * 63,
    "a" * 65,
    "A" * 64,
    "g" * 64,
    "a" * 64 + "%00",
    "a" * 64 + "%0a",
    "a" * 64 + "/../" + "b" * 64,
    "' OR 1=1 --",
    ".idempotency",
    "a" * 5000,
    "%ff%fe",
]


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.name != ".writable"}


@pytest.fixture
def untouched(service: RunningService) -> Any:
    data = service.log.with_suffix("")
    before = _files(data)
    yield
    assert _files(data) == before


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("job_id", IDS)
def test_hostile_ids_are_refused(service: RunningService, job_id: str) -> None:
    calls = [("GET", rest) for rest in ("", "/manifest", "/shards", "/shards/0", "/stream", "/events", "/coverage")]
    for method, rest in [*calls, ("DELETE", ""), ("POST", ":cancel")]:
        # http.client sends paths as they are; other clients resolve dots first.
        connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=10)
        try:
            connection.request(method, f"/v1/jobs/{quote(job_id, safe='/%.')}{rest}")
            response = connection.getresponse()
            text = response.read().decode()
            # A path that dots lead elsewhere may be another route's, which takes other methods.
            assert response.status in ((404, 422) if method == "GET" else (404, 405, 422)), text
            assert response.headers["content-type"] == "application/problem+json"
            assert "root:" not in text
        finally:
            connection.close()


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("index", ["-1", "1e3", "x", "../0", "99999999999999999999", "%00", "100000000"])
def test_hostile_shard_numbers_are_refused(api: httpx.Client, finished: dict[str, Any], index: str) -> None:
    response = api.get(f"/v1/jobs/{finished['id']}/shards/{index}")
    assert response.status_code in (404, 422)
    problem(response, response.status_code)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 60_000, 400),
        (b"[" * 2_000_000, 400),
        (b'{"a":' * 10_000, 400),
        (b'{"robot": "panda", "count": ' + b"9" * 10_000 + b"}", 400),
        (b" " * 2_200_000, 413),
        (b"null", 422),
        (b"[]", 422),
        (b'"panda"', 422),
        (b"{}", 422),
        (json.dumps({**BODY, "count": 0}).encode(), 422),
        (json.dumps({**BODY, "count": -5}).encode(), 422),
        (json.dumps({**BODY, "count": 1.5}).encode(), 422),
        (json.dumps({**BODY, "count": True}).encode(), 422),
        (json.dumps({**BODY, "count": "10"}).encode(), 422),
        (json.dumps({**BODY, "count": 600_001}).encode(), 422),
        (json.dumps({**BODY, "count": float("nan")}).encode(), 422),
        (json.dumps({**BODY, "rate_hz": float("inf")}).encode(), 422),
        (json.dumps({**BODY, "robot": "../panda"}).encode(), 422),
        (json.dumps({**BODY, "robot": "panda\u0000"}).encode(), 422),
        (json.dumps({**BODY, "robot": {"name": "panda"}}).encode(), 422),
        (json.dumps({**BODY, "seed": -1}).encode(), 422),
        (json.dumps({**BODY, "seed": 2**64}).encode(), 422),
        (json.dumps({**BODY, "columns": ["__class__"]}).encode(), 422),
        (json.dumps({**BODY, "families": {}}).encode(), 422),
        (json.dumps({**BODY, "__proto__": {}}).encode(), 422),
        (json.dumps({**BODY, "workspace": {"kind": "box", "min": [1, 0, 0], "max": [0, 1, 1]}}).encode(), 422),
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/preview"])
def test_bad_bodies_are_refused_and_leave_nothing(api: httpx.Client, path: str, body: bytes, status: int) -> None:
    answer = problem(api.post(path, content=body, headers={"Content-Type": "application/json"}), status)
    if status == 422:
        assert answer["errors"]


@pytest.mark.usefixtures("untouched")
def test_a_body_without_a_length_is_bounded_too(api: httpx.Client) -> None:
    def endless() -> Any:
        for _ in range(300):
            yield b" " * 10_000

    problem(api.post("/v1/jobs", content=endless(), headers={"Content-Type": "application/json"}), 413)


@pytest.mark.usefixtures("untouched")
def test_bodies_of_other_types_are_refused(api: httpx.Client) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        problem(api.post("/v1/jobs", content=json.dumps(BODY), headers={"Content-Type": kind}), 415)


def test_a_body_that_does_not_come_is_not_waited_for(api: httpx.Client) -> None:
    head = (
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", api.base_url.port or 0), timeout=30) as connection:
        connection.sendall(head)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"was not here whole after 2 s" in answer


def test_an_idempotency_key_is_never_a_path(api: httpx.Client, service: RunningService) -> None:
    data = service.log.with_suffix("")
    before = _files(data)
    body = {"robot": "panda", "count": 1, "seed": 991}
    for key in ("../../escaped", "/etc/passwd", "..", "%2e%2e%2f", "a" * 255):
        assert api.post("/v1/jobs", json=body, headers={"Idempotency-Key": key}).status_code in (200, 202)
    job_id = wait_until_ended(api, api.post("/v1/jobs", json=body).json()["id"])["id"]
    new = {path.relative_to(data).parts[0] for path in _files(data) - before}
    assert new == {".idempotency", job_id}
    assert all(len(path.name) == 64 for path in (data / ".idempotency").iterdir())
    for wrong in (b"", b"a" * 256, b"a b", b"\xff", b"a\tb"):
        problem(api.post("/v1/jobs", json=body, headers={b"Idempotency-Key": wrong}), 422)


@pytest.mark.parametrize("headers", [{b"X": b"x" * 100_000}, {b"Range": b"bytes=" + b"0-1," * 5000}])
def test_long_headers_are_refused_or_passed_over(
    api: httpx.Client, finished: dict[str, Any], headers: dict[bytes, bytes]
) -> None:
    response = api.get(f"/v1/jobs/{finished['id']}/shards/0", headers=headers)
    assert response.status_code in (200, 400, 431)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=1000000", "/query/limit"),
        ("limit=x", "/query/limit"),
        ("state=done", "/query/state"),
        ("cursor=!!!", "/query/cursor"),
        ("cursor=AAAA", "/query/cursor"),
        ("cursor=" + "A" * 300, "/query/cursor"),
    ],
)
def test_bad_queries_are_named(api: httpx.Client, query: str, pointer: str) -> None:
    assert problem(api.get(f"/v1/jobs?{query}"), 422)["errors"][0]["pointer"] == pointer


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        *(
            (f"{name}?after={value}", "/query/after")
            for name in ("manifest", "events", "stream")
            for value in ("x", -2, 1e9)
        ),
        ("manifest?after=-99999999999999999999999", "/query/after"),
        ("shards?wait=1e9", "/query/wait"),
        ("manifest?wait=nan", "/query/wait"),
        ("manifest?wait=inf", "/query/wait"),
        ("shards?limit=1001", "/query/limit"),
    ],
)
def test_bad_queries_of_a_job_are_named(api: httpx.Client, finished: dict[str, Any], path: str, pointer: str) -> None:
    assert problem(api.get(f"/v1/jobs/{finished['id']}/{path}"), 422)["errors"][0]["pointer"] == pointer


def test_what_is_not_there_and_what_can_not_be_done(api: httpx.Client, finished: dict[str, Any]) -> None:
    for path in (
        "/nothing",
        "/v2/jobs",
        "/v1",
        "/redoc",
        "/v1/jobs/x/y/z",
        "/../etc/passwd",
        "/static/../../etc/passwd",
    ):
        problem(api.get(path), 404)
    refused = api.delete("/v1/jobs")
    assert refused.headers["allow"] == "GET, POST"
    problem(refused, 405)
    problem(api.put(f"/v1/jobs/{finished['id']}", json={}), 405)


def test_broken_http_does_not_break_the_service(api: httpx.Client, service: RunningService) -> None:
    host, port = httpx.URL(service.url).host, httpx.URL(service.url).port
    for data in (
        b"\x00\xff" * 50,
        b"GET /healthz HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\n",
    ):
        with socket.create_connection((host, port or 0), timeout=5) as connection:
            connection.sendall(data)
    assert api.get("/healthz").status_code == 200
