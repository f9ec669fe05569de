from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from shared.client import Client
from tests.browser.chromium import ADVICE, ARGUMENTS, find_chromium
from tests.services.example import RunningService, running_service

# Machines of tests are slow, and nothing here depends on how fast they are.
PATIENCE_MS = 60_000
_NOT_OURS = ("[.WebGL-", "THREE.ColladaLoader: There is already a node")
"""Warnings of the driver about screenshots, and of the loader about a maker's mesh."""
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """A headless Chromium for the time of a block."""
    with sync_playwright() as playwright:
        path = find_chromium() or playwright.chromium.executable_path
        assert Path(path).exists(), ADVICE
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium for all tests."""
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A real service with the process engine."""
    data = tmp_path_factory.mktemp("service") / "data"
    with running_service(data, "--engine", "process", "--workers", "1") as running:
        Client(running.url).wait_ready()
        yield running


class Watched:
    """What a page did: no test may end with an error in its console, or a call to another host.

    Attributes:
        page: the page.
        expected: parts of console errors that the test provokes, such as "422".
        calls: URLs that were asked for.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.expected: list[str] = []
        self.calls: list[str] = []
        self._errors: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._errors.append(f"{error.message}\n{error.stack}"))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" or (message.type == "warning" and not message.text.startswith(_NOT_OURS)):
            self._errors.append(f"{message.text} ({message.location['url']})")

    def _asked(self, request: Request) -> None:
        self.calls.append(request.url)

    def check(self, url: str) -> None:
        """Raises AssertionError for any of it."""
        own = urlsplit(url).netloc
        foreign = [
            call for call in self.calls if not call.startswith(("data:", "blob:")) and urlsplit(call).netloc != own
        ]
        assert foreign == []
        assert [text for text in self._errors if not any(part in text for part in self.expected)] == []


@pytest.fixture
def watched(browser: Browser, service: RunningService) -> Iterator[Watched]:
    """A fresh tab, as a person of a laptop has it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    watched = Watched(context.new_page())
    yield watched
    context.close()
    watched.check(service.url)
