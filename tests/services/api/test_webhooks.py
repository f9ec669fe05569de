"""Webhooks: called when a job has ended, signed, tried again, after a restart too, and never to the own network."""

import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import anyio
import httpx
import pytest

from services.api.settings import Settings
from services.api.webhooks.addresses import CheckedTransport, RefusedAddressError, check_url, is_public
from shared.client import Client
from shared.errors import ConfigError, ServiceError
from shared.webhook_signature import check_signature, key_of, signed_headers
from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import BODY, LONG_BODY, running_service

_ENGINE = ("--engine", "process", "--workers", "1")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_SIGNED = {"HEADSTART_WEBHOOK_SECRET": SECRET}
_OWN = {**_SIGNED, "HEADSTART_WEBHOOK_ALLOW_PRIVATE": "true"}
_FEW = {**BODY, "count": 20}


class Received(NamedTuple):
    """A call that the receiver had."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A real server that keeps what it is sent.

    Attributes:
        calls: that it had.
        answers: status of each of the next answers, then 204.
    """

    def __init__(self, port: int = 0) -> None:
        self.calls: list[Received] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append(Received(self.path, dict(self.headers), body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, daemon=True).start()

    def wait(self, count: int) -> list[Received]:
        """The calls, once there are so many."""
        deadline = time.monotonic() + 240
        while len(self.calls) < count:
            assert time.monotonic() < deadline, self.calls
            time.sleep(0.05)
        return self.calls

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@contextmanager
def opened(data: Path, env: dict[str, str]) -> Iterator[httpx.Client]:
    with (
        running_service(data, *_ENGINE, env=env) as service,
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api,
    ):
        yield api


def test_ends_of_jobs_are_told_signed_and_tried_again(tmp_path: Path, receiver: Receiver) -> None:
    url = f"http://localhost:{receiver.port}/hook?of=me"
    with opened(tmp_path / "data", _OWN) as api:
        # A redirect is a failure like others: nobody looks where it leads.
        receiver.answers = [500, 302]
        job = api.post("/v1/jobs", params={"webhook": url}, json=_FEW).raise_for_status().json()
        assert job["id"] == api.post("/v1/jobs", json=_FEW).json()["id"]
        ended = wait_until_ended(api, job["id"])
        calls = receiver.wait(3)
        assert {call.path for call in calls} == {"/hook?of=me"}
        assert len({call.headers["webhook-id"] for call in calls}) == 1
        for call in calls:
            check_signature(SECRET, call.headers, call.body)
            signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.{call.body.decode()}".encode()
            digest = hmac.new(base64.b64decode(SECRET[6:]), signed, hashlib.sha256).digest()
            assert call.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        told = json.loads(calls[-1].body)
        assert told["type"] == "job.succeeded"
        assert told["data"] == {
            "id": job["id"],
            "state": "succeeded",
            "reason": "",
            "progress": ended["progress"],
            "path": f"/v1/jobs/{job['id']}",
        }
        # Of a job that has ended, at once. Others are told of one that is cancelled.
        assert Client(str(api.base_url)).submit(_FEW, webhook=url)["id"] == job["id"]
        assert json.loads(receiver.wait(4)[3].body)["data"]["id"] == job["id"]
        long = api.post("/v1/jobs", params={"webhook": url}, json=LONG_BODY).raise_for_status().json()
        api.post("/v1/jobs", params={"webhook": url}, json=LONG_BODY).raise_for_status()
        api.post(f"/v1/jobs/{long['id']}:cancel").raise_for_status()
        assert json.loads(receiver.wait(5)[4].body)["type"] == "job.cancelled"
        folder = tmp_path / "data" / "webhooks"
        while list(folder.iterdir()):
            time.sleep(0.05)
        assert len(receiver.calls) == 5


def test_one_that_was_not_delivered_is_after_a_restart(tmp_path: Path) -> None:
    first = Receiver()
    first.answers = [503] * 1000
    url = f"http://127.0.0.1:{first.port}/"
    with running_service(tmp_path / "data", *_ENGINE, env=_OWN) as service:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api:
            job = api.post("/v1/jobs", params={"webhook": url}, json=_FEW).raise_for_status().json()
            waiting = api.post("/v1/jobs", params={"webhook": url}, json={**_FEW, "seed": 9, "count": 4000}).json()
            calls = first.wait(1)
        service.kill()
    first.close()
    second = Receiver(first.port)
    try:
        with opened(tmp_path / "data", _OWN) as api:
            told = {json.loads(call.body)["data"]["id"]: call for call in second.wait(2)}
            # The one that was seen, with its id and what it was to say, and the one whose job had not ended.
            assert set(told) == {job["id"], waiting["id"]}
            assert told[job["id"]].headers["webhook-id"] == calls[0].headers["webhook-id"]
            assert told[job["id"]].body == calls[0].body
            assert json.loads(told[waiting["id"]].body)["type"] == "job.succeeded"
            wait_until_ended(api, waiting["id"])
    finally:
        second.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that calls no addresses of its own network."""
    with opened(tmp_path_factory.mktemp("guarded") / "data", _SIGNED) as api:
        yield api


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/", "not of the public internet"),
        ("http://localhost/", "not of the public internet"),
        ("http://10.1.2.3/hook", "not of the public internet"),
        ("http://172.16.0.1/", "not of the public internet"),
        ("http://192.168.1.1/", "not of the public internet"),
        ("http://169.254.169.254/latest/meta-data", "not of the public internet"),
        ("http://100.64.0.1/", "not of the public internet"),
        ("http://0.0.0.0/", "not of the public internet"),
        ("http://0x7f000001/", "not of the public internet"),
        ("http://2130706433/", "not of the public internet"),
        ("http://127.1/", "not of the public internet"),
        ("http://[::1]/", "not of the public internet"),
        ("http://[::]/", "not of the public internet"),
        ("http://[::ffff:10.0.0.1]/", "not of the public internet"),
        ("http://[fe80::1]/", "not of the public internet"),
        ("http://[fd00::1]/", "not of the public internet"),
        ("http://224.0.0.1/", "not of the public internet"),
        ("ftp://example.org/", "give a URL such as"),
        ("file:///etc/passwd", "give a URL such as"),
        ("/hook", "give a URL such as"),
        ("", "give a URL such as"),
        ("http://user:secret@example.org/", "leave user, password and #fragment out"),
        ("http://[::1", "it is no URL"),
        ("http://example.org:99999/", "it is no URL"),
        ("http://a..b/", ""),
        ("http://nobody.invalid/", "can't be resolved"),
    ],
)
def test_what_no_webhook_may_have_is_refused(guarded: httpx.Client, url: str, why: str) -> None:
    refused = problem(guarded.post("/v1/jobs", params={"webhook": url}, json=_FEW), 422)
    assert refused["errors"][0]["pointer"] == "/query/webhook"
    assert why in refused["errors"][0]["detail"]
    assert guarded.get("/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:192.168.0.1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::1", False),
        ("2001:0:53aa:64c:0:0:f5ff:fffe", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def resolver(*answers: list[str]) -> Callable[..., Any]:
    """A resolver that gives these addresses, one answer after the other, the last again and again."""
    left = list(answers)

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo


def test_a_name_that_turns_to_the_own_network_later_is_not_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://rebound.test:{receiver.port}/"
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(["8.8.8.8"], ["127.0.0.1"]))

    async def call(allow_private: bool) -> int:
        async with httpx.AsyncClient(transport=CheckedTransport(allow_private), trust_env=False) as http:
            return (await http.post(url, content=b"{}")).status_code

    anyio.run(check_url, url, False)
    with pytest.raises(RefusedAddressError, match=r"rebound.test is 127.0.0.1, which is not of the public internet"):
        anyio.run(call, False)
    assert receiver.calls == []
    # One address of several is enough.
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(["8.8.8.8", "10.0.0.1"]))
    with pytest.raises(RefusedAddressError, match=r"10\.0\.0\.1"):
        anyio.run(check_url, url, False)
    # What is connected to is the address that was checked: this name has no other. The name goes along.
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(["127.0.0.1"]))
    assert anyio.run(call, True) == 204
    assert receiver.calls[0].headers["Host"] == f"rebound.test:{receiver.port}"


def test_without_a_secret_there_are_none(api: httpx.Client) -> None:
    refused = problem(api.post("/v1/jobs", params={"webhook": "https://example.org/"}, json=_FEW), 422)
    assert "no HEADSTART_WEBHOOK_SECRET" in refused["errors"][0]["detail"]
    for secret in ("whsec_short", "c2VjcmV0" * 6, "whsec_" + "!" * 40):
        with pytest.raises(ConfigError, match=r"HEADSTART_WEBHOOK_SECRET.*at least 24 random bytes in base64"):
            Settings.read(webhook_secret=secret)


def test_signatures_are_those_of_standard_webhooks() -> None:
    # As the library of that name signs it (standardwebhooks 1.1.0).
    body, at = b'{"test": 2432232314}', 1614265330
    headers = signed_headers(key_of(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    check_signature(SECRET, headers, body, now=at + 299)
    check_signature(SECRET, {**headers, "webhook-signature": f"v1,x v2,y {headers['webhook-signature']}"}, body, at)
    with pytest.raises(ServiceError, match="more than five minutes"):
        check_signature(SECRET, headers, body, now=at + 301)
    for wrong in ({"webhook-id": "msg_x"}, {"webhook-timestamp": "1614265331"}, {"webhook-signature": "v1,"}):
        with pytest.raises(ServiceError, match="not of this secret"):
            check_signature(SECRET, {**headers, **wrong}, body, now=at)
    with pytest.raises(ServiceError, match="not of this secret"):
        check_signature(SECRET, headers, body + b" ", now=at)
    with pytest.raises(ServiceError, match="not of this secret"):
        check_signature(SECRET, {}, body)
