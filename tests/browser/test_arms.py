"""Arms in the viewer: each is drawn where its rows say that it is, uploaded ones too."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from services.catalogue import ARMS
from tests.browser.conftest import Watched
from tests.browser.form import open_form
from tests.browser.picture import colours, pixels
from tests.services.example import RunningService

pytestmark = pytest.mark.browser

SOME = ["so101", "ur5"]
"""One with STL and held joints, one with Collada; HEADSTART_ALL_ARMS=1 draws every arm."""


@pytest.mark.parametrize("name", sorted(ARMS) if os.environ.get("HEADSTART_ALL_ARMS") else SOME)
def test_an_arm_is_drawn_where_its_rows_are(watched: Watched, service: RunningService, name: str) -> None:
    page, viewer = watched.page, watched.page.locator(".viewer")
    open_form(page, service.url)
    page.get_by_label("Arm", exact=True).select_option(name)
    expect(viewer).to_have_attribute("data-robot", name)
    expect(page.locator(".note")).to_be_empty()
    page.get_by_label("The request as JSON").fill(f'{{"robot": "{name}", "count": 1}}')
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".about")).to_contain_text("Trajectory 0:")
    page.get_by_label("Time", exact=True).fill("9")
    gap = viewer.get_attribute("data-tool-gap")
    # Some tool frames are of our own, and in no URDF.
    assert (gap is None) == (ARMS[name].tool is not None)
    assert gap is None or float(gap) < 1e-5
    expect(page.locator(".note")).to_be_empty()
    assert colours(pixels(page.locator("canvas"))) > 100


def test_an_arm_of_ones_own_is_uploaded_and_drawn(watched: Watched, service: RunningService, tmp_path: Path) -> None:
    page = watched.page
    docs = (Path(__file__).parents[2] / "docs" / "robots.md").read_text()
    urdf = tmp_path / "arm.urdf"
    urdf.write_text(docs.split("```xml\n")[1].split("```")[0])
    open_form(page, service.url)
    page.get_by_text("An arm of your own").click()
    page.get_by_role("button", name="Upload this arm").click()
    expect(page.locator(".upload .error")).to_contain_text("Choose a file")
    page.get_by_label("URDF, or a ZIP").set_input_files(urdf)
    page.get_by_label("Link whose pose is recorded").fill("nose")
    watched.expected.append("status of 422")
    page.get_by_role("button", name="Upload this arm").click()
    expect(page.locator(".upload .error")).to_contain_text("nose")
    page.get_by_label("Link whose pose is recorded").fill("tool")
    page.get_by_role("button", name="Upload this arm").click()
    expect(page.locator(".upload")).to_contain_text("It is there, as my_arm-")
    expect(page.get_by_label("Arm", exact=True)).to_have_value(re.compile("^my_arm-[0-9a-f]{12}$"))
    expect(page.locator(".viewer")).to_have_attribute("data-robot", re.compile("^my_arm-"))
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".about")).to_contain_text("Trajectory 0:")
    assert float(page.locator(".viewer").get_attribute("data-tool-gap") or 1) < 1e-5
