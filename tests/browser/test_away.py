"""The page when the service is away, asks for a key, or a job fails: it says so in words, and goes on when it can."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from shared.client import Client
from tests.browser.conftest import PATIENCE_MS, Watched
from tests.browser.form import fill, open_form, submit
from tests.services.example import RunningService, running_service

pytestmark = pytest.mark.browser
ENGINE = ("--engine", "process", "--workers", "1")
KEY = "k3y-of-the-browser-tests"


def _tab(browser: Browser) -> Watched:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    return Watched(page)


def test_a_killed_service_is_missed_and_its_job_goes_on(browser: Browser, tmp_path: Path) -> None:
    watched = _tab(browser)
    page = watched.page
    # A service that has just come back may say for a moment that it is not ready.
    watched.expected += ["ERR_", "status of 503"]
    service = RunningService(tmp_path / "data", *ENGINE)
    try:
        with Client(service.url) as client:
            client.wait_ready()
        open_form(page, service.url)
        page.get_by_label("Arm", exact=True).select_option("xarm7")
        fill(page, Trajectories=3000, Rows_in_each_shard=50)
        submit(page)
        expect(page.locator(".about")).to_contain_text("Trajectory 0:")
        service.kill()
        banner = page.get_by_role("alert").filter(has_text="The service does not answer")
        expect(banner).to_be_visible()
        page.get_by_role("button", name="Next trajectory").click()
        expect(page.locator(".chooser")).to_contain_text("The service does not answer.")
        service = RunningService(tmp_path / "data", *ENGINE, port=int(service.url.rpartition(":")[2]))
        expect(banner).to_be_hidden()
        expect(page.locator(".state")).to_have_text("Done")
        expect(page.locator(".numbers")).to_contain_text("3,000 of 3,000")
        page.get_by_role("button", name="Next trajectory").click()
        expect(page.locator(".about")).to_contain_text("Trajectory 1:")
        # The form, opened while it is away, fills when it is back.
        service.kill()
        page.get_by_role("link", name="New request").click()
        expect(page.locator(".request")).to_contain_text("The robots can't be listed: the service does not answer.")
        page.get_by_role("button", name="Submit the job").click()
        expect(page.locator(".summary")).to_have_text("The service does not answer; nothing was sent.")
        service = RunningService(tmp_path / "data", *ENGINE, port=int(service.url.rpartition(":")[2]))
        expect(page.get_by_label("Arm", exact=True)).to_contain_text("xarm7")
    finally:
        service.kill()
    page.context.close()
    watched.check(service.url)


def test_the_key_is_asked_for_and_kept_in_the_tab(browser: Browser, tmp_path: Path) -> None:
    watched = _tab(browser)
    page = watched.page
    watched.expected.append("status of 401")
    with running_service(tmp_path / "data", *ENGINE, env={"HEADSTART_API_KEY": KEY}) as service:
        page.goto(service.url)
        dialog = page.get_by_role("dialog", name="API key")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_label("Key", exact=True).fill("a-key-that-is-wrong")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("That is not a key of this service.")
        page.get_by_label("Key", exact=True).fill(KEY)
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        expect(page.get_by_label("Arm", exact=True)).to_contain_text("xarm7")
        page.get_by_label("Arm", exact=True).select_option("xarm7")
        fill(page, Trajectories=20)
        submit(page)
        # Events and meshes carry it too.
        expect(page.locator(".state")).to_have_text("Done")
        expect(page.locator(".viewer")).to_have_attribute("data-robot", "xarm7")
        page.reload()
        expect(page.locator(".state")).to_have_text("Done")
        assert page.evaluate("() => Object.values(sessionStorage)") == [KEY]
        assert page.evaluate("() => [localStorage.length, document.cookie]") == [0, ""]
        assert not any(KEY in call for call in watched.calls)
        page.get_by_role("button", name="API key").click()
        expect(dialog).to_be_visible()
        assert page.evaluate("() => sessionStorage.length") == 0
        other = page.context.new_page()
        other.goto(service.url)
        expect(other.get_by_role("dialog", name="API key")).to_be_visible()
        page.context.close()
    watched.check(service.url)


def test_a_failed_job_says_why(browser: Browser, tmp_path: Path) -> None:
    watched = _tab(browser)
    page = watched.page
    with running_service(tmp_path / "data", *ENGINE) as service:
        open_form(page, service.url)
        page.get_by_label("Arm", exact=True).select_option("xarm7")
        # Poses out of reach: candidates run out.
        page.get_by_label("The request as JSON").fill(
            '{"robot": "xarm7", "count": 10, "workspace": {"kind": "box", "min": [3, 3, 3], "max": [3.1, 3.1, 3.1]}}'
        )
        submit(page)
        expect(page.locator(".state")).to_have_text("Failed")
        expect(page.locator(".progress .error")).to_contain_text("unreachable")
        expect(page.get_by_role("button", name="Delete the job and its data")).to_be_visible()
        page.context.close()
    watched.check(service.url)
