"""The page's files as the service hands them out; tests/browser has what they do."""

import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from services.api import page
from tests.services.api.conftest import problem
from tests.services.example import running_service

FOLDER = Path(str(files("services.page")))
OWN = [
    path for path in FOLDER.rglob("*") if path.suffix in (".js", ".css", ".html", ".svg") and "vendor" not in path.parts
]
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
_IMPORT = re.compile(r"^(?:import|export|}) [^\n]*?['\"]([^'\"\n]+)['\"];?$", re.MULTILINE)
_UNSAFE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\"(?:on|style)"
    r"|\sstyle=|\son[a-z]+=\""
)


def test_the_page_loads_all_it_names_and_nothing_from_elsewhere(api: httpx.Client) -> None:
    answer = api.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == (FOLDER / "index.html").read_text()
    named = set(re.findall(r'(?:href|src)="(/[^"]+)"', answer.text)) | set(
        re.findall(r'": "(/[^"]+\.js)"', answer.text)
    )
    assert len(named) > 6
    for path in named:
        assert api.get(path).status_code == 200, path
    addresses = re.findall(r"https?://[^\s\"'`)]+", "".join(file.read_text() for file in OWN))
    # A name of a namespace is no address.
    assert {urlsplit(address).netloc for address in addresses} <= {"www.w3.org"}


def test_the_documentation_loads_all_it_names_and_nothing_from_elsewhere(api: httpx.Client) -> None:
    answer = api.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == api.get("/").headers["content-security-policy"]
    named = re.findall(r'(?:href|src)="([^"]+)"', answer.text)
    assert "/page/vendor/swagger-ui-dist/swagger-ui-bundle.js" in named
    for path in (*named, "/openapi.json"):
        assert path.startswith("/"), path
        assert api.get(path).status_code == 200, path
    # Nor does the document send anybody elsewhere, but for what its errors are.
    assert re.findall(r"https?://[^\s\"'`)]+", api.get("/openapi.json").text) == []


def _resolved(name: str, importer: str, imports: dict[str, str]) -> str:
    """The path that a browser asks for."""
    for key, target in imports.items():
        if name == key or (key.endswith("/") and name.startswith(key)):
            return target + name[len(key) :]
    return str(httpx.URL(f"http://localhost{importer}").join(name).path)


def test_every_module_imports_only_what_is_there(api: httpx.Client) -> None:
    found = _IMPORT_MAP.search(api.get("/").text)
    assert found
    imports = json.loads(found[1])["imports"]
    count = 0
    for path in sorted(page.PATHS):
        for name in _IMPORT.findall(api.get(path).text) if path.endswith(".js") else ():
            assert _resolved(name, path, imports) in page.PATHS, f"{path} imports {name}"
            count += 1
    assert count > 40


def test_the_policy_lets_in_nothing_but_the_pages_own(api: httpx.Client) -> None:
    for path in ("/", "/page/modules/main.js", "/page/styles/page.css"):
        headers = api.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert (
            policy["default-src"]
            == policy["form-action"]
            == policy["base-uri"]
            == policy["frame-ancestors"]
            == "'none'"
        )
        assert policy["connect-src"] == policy["style-src"] == "'self'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    inline = re.findall(r"<script[^>]*>(.+?)</script>", api.get("/").text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
    assert len(inline) == 1
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"


def test_own_files_parse_no_markup_and_run_no_text() -> None:
    for path in OWN:
        assert not (found := _UNSAFE.search(path.read_text())), f"{path}: {found}"


def test_files_are_sent_once_and_packed(api: httpx.Client) -> None:
    path = "/page/vendor/three/build/three.core.js"
    first = api.get(path)
    assert first.headers["content-encoding"] == "gzip"
    assert int(first.headers["content-length"]) < 400_000
    assert first.content == (FOLDER / path.removeprefix("/page/")).read_bytes()
    again = api.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-encoding" not in api.get(path, headers={"Accept-Encoding": "identity"}).headers


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/index.html",
        "/page/__init__.py",
        "/page/vendor/vendored.json",
        "/page/../api/page.py",
        "/page/%2e%2e/api/page.py",
        "/page/..%2f..%2f..%2fetc/passwd",
        "/page//etc/passwd",
        "/page/modules/main.js/",
        "/page/modules/main.js%00",
    ],
)
def test_only_the_tables_files_are_there(api: httpx.Client, path: str) -> None:
    # As it stands: the client would tidy it up.
    problem(api.send(httpx.Request("GET", httpx.URL(f"{api.base_url}").copy_with(raw_path=path.encode()))), 404)


def test_vendored_files_are_those_that_were_published() -> None:
    vendor = FOLDER / "vendor"
    packages = json.loads((vendor / "vendored.json").read_text())
    stated = {
        f"{package['package']}/{name}": sha256 for package in packages for name, sha256 in package["files"].items()
    }
    found = {path.relative_to(vendor).as_posix(): path for path in vendor.rglob("*") if path.is_file()}
    assert set(found) == {*stated, "README.md", "vendored.json"}
    for name, sha256 in stated.items():
        assert hashlib.sha256(found[name].read_bytes()).hexdigest() == sha256, name
    for package in packages:
        assert package["integrity"].startswith("sha512-")
        assert f"{package['package']}/LICENSE" in stated


def test_with_a_key_the_page_is_open_and_its_data_is_not(tmp_path: Path) -> None:
    arguments = ("--engine", "process", "--workers", "1", "--host", "0.0.0.0")
    with (
        running_service(tmp_path / "data", *arguments, env={"HEADSTART_API_KEY": "k" * 20}) as service,
        httpx.Client(base_url=service.url.replace("0.0.0.0", "127.0.0.1"), trust_env=False) as api,
    ):
        for path in page.PATHS:
            assert api.get(path).status_code == 200, path
        for path in ("/v1/jobs", "/v1/robots", "/v1/robots/panda/mesh?file=x", "/page/nothing.js", "/page"):
            problem(api.get(path), 401)
