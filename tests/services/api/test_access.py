import stat
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.api.settings import Settings
from shared.api_keys import AccessRule
from shared.client import Client
from shared.errors import ConfigError, ServiceError
from tests.services.api.conftest import problem
from tests.services.example import BODY, command, running_service


def test_a_key_is_made_asked_for_and_compared(tmp_path: Path) -> None:
    key_file = tmp_path / "keys" / "api-key"
    arguments = ("--engine", "process", "--workers", "1", "--host", "0.0.0.0", "--api-key-file", str(key_file))
    with running_service(tmp_path / "data", *arguments) as service:
        key = key_file.read_text().strip()
        assert len(key) >= 32
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        url = service.url.replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=url, trust_env=False) as api:
            for path in ("/healthz", "/version", "/openapi.json"):
                assert api.get(path).status_code == 200
            wrong = [b"", b"Bearer", b"Bearer \xff", f"Bearer {key}x".encode(), f"Bearer {key[:-1]}".encode()]
            for value in [*wrong, f"Basic {key}".encode(), key.encode()]:
                refused = api.get("/v1/jobs", headers={b"Authorization": value})
                assert refused.headers["www-authenticate"] == "Bearer"
                problem(refused, 401)
            problem(api.post("/v1/jobs", json=BODY), 401)
            problem(api.get("/v1/jobs", params={"api_key": key}), 401)
            problem(api.get("/nothing"), 401)
            assert api.get("/v1/jobs", headers={"Authorization": f"bearer {key}"}).json()["jobs"] == []
            document = api.get("/openapi.json").json()
            assert document["paths"]["/v1/jobs"]["get"]["security"] == [{"key": []}]
        with pytest.raises(ServiceError, match="set HEADSTART_API_KEY or HEADSTART_API_KEY_FILE") as caught:
            list(Client(url, api_key="").jobs())
        assert caught.value.status == 401
        assert list(Client(url, api_key=key).jobs()) == []
        assert service.stop() == 0
    # The next start asks for the same key.
    assert Settings.read(host="0.0.0.0", api_key_file=key_file).keys() == (key,)


def test_other_machines_are_let_in_only_with_a_key(tmp_path: Path) -> None:
    refused = command("serve", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path))
    _, err = refused.communicate(timeout=60)
    assert refused.returncode == 2
    assert "an API key is needed: set HEADSTART_API_KEY" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", "10.0.0.1"])
def test_hosts_that_need_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match="API key"):
        Settings.read(host=host).keys()
    assert Settings.read(host=host, api_key="k" * 20).keys() == ("k" * 20,)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_hosts_that_need_none(host: str) -> None:
    assert Settings.read(host=host).keys() == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port": 70000}, r"setting port \(--port or HEADSTART_PORT\)"),
        ({"engine": "gpu"}, "setting engine"),
        ({"workers": 0}, "setting workers"),
        ({"data": "ftp://host/data"}, "setting data .*is not a place for a dataset; give a directory, or a bucket"),
    ],
)
def test_wrong_settings_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings.read(**given)


def test_an_object_store_needs_a_folder_for_the_rest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"s3://bucket/data is for datasets; say with --state DIR"):
        _ = Settings.read(data="s3://bucket/data").state_folder
    settings = Settings.read(data="s3://bucket/data", state=tmp_path)
    assert (settings.data, settings.state_folder) == ("s3://bucket/data", tmp_path)
    for local in (tmp_path, f"file://{tmp_path}"):
        assert (Settings.read(data=local).data, Settings.read(data=local).state_folder) == (tmp_path, tmp_path)


def test_a_token_of_ray_that_can_not_be_used_is_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch()
    started = command("serve", "--port", "0", "--data", str(tmp_path), env={"RAY_AUTH_TOKEN_PATH": str(token)})
    _, err = started.communicate(timeout=60)
    assert started.returncode == 2
    assert "the Ray token file" in err
    assert "is empty; delete it, and one is made" in err
    assert err.count("\n") == 1


def test_keys_that_can_not_be_used_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for text, message in (("short\n", "at least 16"), ("\n\n", "is empty"), (f"{'k' * 20}\nshort\n", "at least 16")):
        file.write_text(text)
        with pytest.raises(ConfigError, match=message):
            Settings.read(api_key_file=file).keys()
    with pytest.raises(ConfigError, match="at least 16"):
        Settings.read(api_key="short").keys()
    file.write_bytes(b"\xff" * 20)
    with pytest.raises(ConfigError, match="can't be used"):
        Settings.read(api_key_file=file).keys()


def test_several_keys_are_good_at_once(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{'new-' * 8}\n{'old-' * 8}\n")
    keys = Settings.read(host="0.0.0.0", api_key_file=file).keys()
    rule = AccessRule(keys)
    assert [rule.knows(f"Bearer {key}") for key in keys] == [True, True]
    assert not any(rule.knows(f"Bearer {key}") for key in ("other-" * 6, keys[0][:-1], "".join(keys), ""))


def test_foreign_names_for_this_machine_are_refused(api: httpx.Client) -> None:
    # As a page that rebinds its own name to 127.0.0.1 would send.
    for host in (
        *("evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.0.2.7:8000", "[2001:db8::1]"),
        *("[::1]evil.example", "[::1]:80:80", "::1", "[]", "127.0.0.1:evil.example", "me@127.0.0.1", ""),
    ):
        problem(api.get("/v1/jobs", headers={"Host": host}), 403)
    # Also all that a service without a key listens on.
    for host in ("localhost:1", "localhost", "127.0.0.1", "127.0.0.2", "127.8.9.1:8000", "[::1]", "[::1]:8000"):
        assert api.get("/v1/jobs", headers={"Host": host}).status_code == 200


def test_pages_of_other_sites_are_refused(api: httpx.Client, finished: dict[str, Any]) -> None:
    # A form of theirs can send a POST without asking first.
    path = f"/v1/jobs/{finished['id']}:cancel"
    for origin in (
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://evil.example:80",
        "//",
        "[",
        "http://[",
    ):
        problem(api.post(path, headers={"Origin": origin}), 403)
    for origin in ("http://localhost:8000", "http://127.0.0.1", "http://[::1]:1"):
        problem(api.post(path, headers={"Origin": origin}), 409)


def test_a_port_in_use_is_one_line(tmp_path: Path, api: httpx.Client) -> None:
    port = str(api.base_url.port)
    taken: subprocess.Popen[str] = command("serve", "--port", port, "--data", str(tmp_path))
    _, err = taken.communicate(timeout=60)
    assert taken.returncode == 2
    assert "Address already in use" in err
    assert err.count("\n") == 1
