"""The page in a real browser: from the form to a trajectory that is played, and what happens to a job meanwhile."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.picture import changed_share, colours, pixels
from tests.services.example import RunningService

pytestmark = pytest.mark.browser


def submit(page: Page, count: int, **fields: int) -> None:
    """Submits a request from the form."""
    page.get_by_label("Trajectories", exact=True).fill(str(count))
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(str(value))
    page.get_by_role("button", name="Submit the job").click()
    expect(page).to_have_url(re.compile("#/jobs/[0-9a-f]{64}$"))


def test_a_job_is_submitted_watched_and_its_trajectories_played(watched: Watched, service: RunningService) -> None:
    page = watched.page
    page.goto(service.url)
    submit(page, 300, Rows_in_each_shard=50)
    expect(page.get_by_role("heading", level=1)).to_have_text("panda, 300 trajectories")
    expect(page.locator(".state")).to_have_text("Done", timeout=90_000)
    expect(page.locator(".numbers")).to_contain_text("300 of 300")
    expect(page.locator(".numbers")).to_contain_text("6 of 6")
    expect(page.locator(".rejections caption")).to_contain_text("for 300 trajectories")
    expect(page.get_by_role("navigation", name="Jobs")).to_contain_text("succeeded")
    expect(page.locator(".coverage h3").first).to_have_text("Where the tool goes")

    viewer = page.locator(".viewer")
    expect(viewer).to_have_attribute("data-robot", "panda")
    canvas, cursor = page.locator("canvas"), page.locator(".joint .cursor").first
    expect(page.locator(".joint")).to_have_count(7)
    scrubber = page.get_by_label("Time", exact=True)
    first = pixels(canvas)
    assert colours(first) > 200
    # Where the drawing of the URDF puts the tool is where the rows say it is [m].
    for place in ("20", "40", "0", "60"):
        scrubber.fill(place)
        gap = viewer.get_attribute("data-tool-gap")
        assert gap is not None
        assert float(gap) < 1e-5
    expect(page.locator(".time")).to_have_text(re.compile(r"^3\.00 / "))
    assert float(cursor.get_attribute("x1") or 0) > 0
    assert changed_share(first, pixels(canvas)) > 0.003

    scrubber.fill("0")
    page.get_by_label("Speed", exact=True).select_option("0.5")
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".time")).not_to_have_text(re.compile(r"^0\.[01]"))
    page.get_by_role("button", name="Pause").click()
    moved = cursor.get_attribute("x1")
    page.wait_for_timeout(200)
    assert cursor.get_attribute("x1") == moved
    page.get_by_role("button", name="Next trajectory").click()
    expect(page.locator(".about")).to_contain_text("Trajectory 1:")
