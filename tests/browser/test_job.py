"""A job in a real browser: watched, its trajectories played, cancelled, deleted."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.form import fill, open_form, request_of, submit
from tests.browser.picture import changed_share, colours, pixels
from tests.services.example import RunningService

pytestmark = pytest.mark.browser


def test_a_job_is_submitted_watched_and_its_trajectories_played(watched: Watched, service: RunningService) -> None:
    page = watched.page
    open_form(page, service.url)
    fill(page, Trajectories=300, Rows_in_each_shard=50)
    submit(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("panda, 300 trajectories")
    expect(page.locator(".state")).to_have_text("Done")
    expect(page.locator(".numbers")).to_contain_text("300 of 300")
    expect(page.locator(".numbers")).to_contain_text("6 of 6")
    expect(page.locator(".rejections caption")).to_contain_text("for 300 trajectories")
    expect(page.get_by_role("navigation", name="Jobs")).to_contain_text("succeeded")
    expect(page.locator(".coverage h3").first).to_have_text("Where the tool goes")
    expect(page.locator(".coverage .bars")).to_have_count(15)
    expect(page.locator(".coverage .cell").first).to_be_visible()

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
    page.get_by_label("Against their limits").select_option("joint_velocity")
    expect(page.locator(".joint .range").first).to_have_text("-2.18 … 2.18")
    page.get_by_role("button", name="Next trajectory").click()
    expect(page.locator(".about")).to_contain_text("Trajectory 1:")
    page.get_by_label("Trajectory", exact=True).fill("300")
    page.keyboard.press("Enter")
    expect(page.locator(".chooser")).to_contain_text("This dataset has trajectories 0 to 299.")
    page.get_by_role("button", name="New request from this one").click()
    expect(page.get_by_label("Trajectories", exact=True)).to_have_value("300")
    assert request_of(page) == {"robot": "panda", "count": 300, "shard_rows": 50}


def test_a_long_job_is_cancelled_and_deleted(watched: Watched, service: RunningService) -> None:
    page = watched.page
    open_form(page, service.url)
    page.get_by_label("Arm", exact=True).select_option("xarm7")
    # Long, but small on any disk.
    fill(page, Trajectories=400_000, Samples_per_second=2, Rows_in_each_shard=200)
    job = submit(page)
    # It is looked at while it runs: its first row is there, and numbers go up.
    expect(page.locator(".about")).to_contain_text("Trajectory 0:")
    expect(page.locator(".state")).to_have_text("Running")
    expect(page.locator(".numbers")).to_contain_text("per second")
    expect(page.locator(".numbers")).to_contain_text(re.compile(r"Remaining\d"))
    bar = page.get_by_role("progressbar")
    before = float(bar.get_attribute("value") or 0)
    expect(bar).not_to_have_attribute("value", str(before))
    assert page.locator("[aria-live=polite]").inner_text().startswith("Running: ")
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".state")).to_have_text("Cancelled")
    expect(page.get_by_role("button", name="Cancel the job")).to_be_hidden()

    page.get_by_role("button", name="Delete the job and its data").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("from the service's disk?")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".state")).to_have_text("Cancelled")
    page.get_by_role("button", name="Delete the job and its data").click()
    dialog.get_by_role("button", name="Delete them").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New request")
    expect(page.locator(f'a[href="#/jobs/{job}"]')).to_have_count(0)
    watched.expected.append("status of 404")
    page.goto(f"{service.url}/#/jobs/{job}")
    expect(page.get_by_role("alert").filter(has_text="There is no such job")).to_be_visible()
