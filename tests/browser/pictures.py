"""Makes the pictures of docs/page.md from a real service: `python -m tests.browser.pictures`."""

import re
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from shared import motions_parquet
from shared.client import Client
from tests.browser.conftest import PATIENCE_MS, opened_browser
from tests.browser.form import fill, open_form, submit, vector
from tests.services.example import ROOT, running_service
from tests.stacking import motions

FOLDER = ROOT / "docs" / "pictures"
MOST_BYTES = 300_000


def main() -> None:
    """Writes docs/pictures/page-*.png."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder) / "data", "--engine", "process") as service,
    ):
        Client(service.url).wait_ready()
        with opened_browser() as browser:
            page = browser.new_page(viewport={"width": 1360, "height": 850})
            page.set_default_timeout(PATIENCE_MS)
            _picture_of_a_request(page, service.url)
            _picture_of_a_job(page)
            _picture_of_copies(page, service.url)


def _picture_of_a_request(page: Page, url: str) -> None:
    open_form(page, url)
    fill(page, Trajectories=4000, Rows_in_each_shard=200)
    page.get_by_label("Targets", exact=True).select_option("box")
    vector(page, "Lowest corner [m]", 0.35, -0.3, 0.12)
    page.get_by_role("button", name="Add a table or wall").click()
    page.locator('[data-at="/families/pick_and_place"]').fill("1")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".about")).to_be_visible()
    expect(page.locator(".viewer")).to_have_attribute("data-robot", "panda")
    page.get_by_role("button", name="4", exact=True).click()
    page.get_by_label("Time", exact=True).fill("40")
    page.get_by_label("Targets", exact=True).evaluate("node => node.scrollIntoView({block: 'center'})")
    _write(page, "request")


def _picture_of_a_job(page: Page) -> None:
    submit(page)
    expect(page.locator(".numbers")).to_contain_text(re.compile(r"of 4,000"))
    expect(page.locator(".numbers")).to_contain_text("per second")
    expect(page.locator(".joint")).to_have_count(7)
    expect(page.locator(".cell").first).to_be_attached()
    page.get_by_label("Time", exact=True).fill("30")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 1360, "height": 1180})
    page.evaluate("scrollTo(0, 0)")
    _write(page, "job")


def _picture_of_copies(page: Page, url: str) -> None:
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1360, "height": 950})
    with Client(url) as client:
        sha256 = client.upload_motions(motions_parquet.to_parquet(motions(4)))["sha256"]
    open_form(page, url)
    page.get_by_label("The request as JSON").fill('{"robot": "panda", "count": 3000}')
    page.get_by_label("Targets", exact=True).select_option("objects")
    page.get_by_label("Demonstrations", exact=True).select_option(sha256)
    fill(page, **{"Objects lie so much farther out [m]": 0.02})
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".copied")).to_be_visible()
    expect(page.locator(".viewer")).to_have_attribute("data-robot", "panda")
    page.get_by_label("Time", exact=True).fill("34")
    page.get_by_role("button", name="Front").click()
    for _ in range(3):
        page.locator("canvas").press("+")
    page.locator("canvas").blur()
    page.get_by_label("Targets", exact=True).evaluate("node => node.scrollIntoView({block: 'start'})")
    _write(page, "copies")


def _write(page: Page, name: str) -> None:
    path = FOLDER / f"page-{name}.png"
    page.screenshot(path=path)
    size = path.stat().st_size
    assert size < MOST_BYTES, f"{path} has {size} bytes"
    print(f"{path.relative_to(ROOT)}: {size:,} bytes")


if __name__ == "__main__":
    main()
