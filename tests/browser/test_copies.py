"""Copies of demonstrations in a real browser: asked for, drawn, played, and their mistakes said at their fields."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Objects
from shared.motions_file import write_motions
from tests.browser.conftest import Watched
from tests.browser.form import error_at, fill, open_form, request_of, submit, vector
from tests.browser.picture import changed_share, pixels
from tests.browser.test_everyone import NAMELESS, fits, tab_to
from tests.services.example import RunningService
from tests.stacking import motions

pytestmark = pytest.mark.browser

MOTIONS = motions(2)
SHA256 = MOTIONS.content_sha256
COPIES: dict[str, Any] = {
    "robot": "panda",
    "count": 6,
    "shard_rows": 3,
    "workspace": {"kind": "objects", "motions": SHA256},
}


@pytest.fixture(scope="module")
def motions_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MOTIONS' file."""
    path = tmp_path_factory.mktemp("motions") / "stacking.parquet"
    write_motions(MOTIONS, path)
    return path


@pytest.fixture
def uploaded(service: RunningService, motions_file: Path) -> str:
    """The sha256 of MOTIONS, which the service has."""
    kind = {"Content-Type": "application/octet-stream"}
    httpx.post(f"{service.url}/v1/motions", content=motions_file.read_bytes(), headers=kind).raise_for_status()
    return SHA256


def _choose_objects(page: Page, url: str) -> None:
    open_form(page, url)
    page.get_by_label("Targets", exact=True).select_option("objects")


def test_motions_are_uploaded_and_the_form_says_all_of_the_workspace(
    watched: Watched, service: RunningService, motions_file: Path, tmp_path: Path
) -> None:
    page = watched.page
    open_form(page, service.url)
    # What a request of copies can't say is left out of it.
    page.locator('[data-at="/families/hold"]').fill("1")
    vector(page, "Speed, as a share of the limits", 0.2, 0.9)
    page.get_by_label("Targets", exact=True).select_option("objects")
    assert request_of(page) == {"robot": "panda", "count": 1000, "workspace": {"kind": "objects"}}
    expect(page.locator(".families")).to_have_count(0)
    page.get_by_label("Targets", exact=True).select_option("joint_space")
    expect(page.locator(".families")).to_have_count(1)
    page.get_by_label("Targets", exact=True).select_option("objects")
    upload, wrong = page.get_by_label("Upload a motions file"), tmp_path / "wrong.parquet"
    wrong.write_text("no Parquet")
    watched.expected.append("status of 422")
    upload.set_input_files(wrong)
    expect(page.get_by_role("alert").filter(has_text="wrong.parquet")).to_contain_text("Is no Parquet file")
    upload.set_input_files(motions_file)
    expect(page.get_by_text("It is there, and chosen.")).to_be_visible()
    chosen = page.get_by_label("Demonstrations", exact=True)
    expect(chosen).to_have_value(SHA256)
    expect(chosen.locator("option:checked")).to_have_text(f"stacking, 2 demonstrations ({SHA256[:8]})")
    expect(page.get_by_text("Of panda at 20 Hz, with block, base.")).to_be_visible()
    fill(page, **{"Objects lie so much farther out [m]": 0.02, "Least distance between objects [m]": 0.1})
    vector(page, "Least place of base [m]", 0.5, 0.05)
    vector(page, "Greatest place of base [m]", 0.55, 0.1)
    vector(page, "Yaw of block [°]", -30, 30)
    page.get_by_label("Which demonstration is copied").select_option("nearest")
    fill(page, **{"The tool starts so far from where it did [m]": 0.01, "And turned by up to [°]": 2})
    workspace = {
        "kind": "objects",
        "motions": SHA256,
        "objects": {"base": {"min": [0.5, 0.05], "max": [0.55, 0.1]}, "block": {"yaw_deg": [-30, 30]}},
        "widen": 0.02,
        "least_distance": 0.1,
        "source": "nearest",
        "start_jitter": {"position": 0.01, "angle_deg": 2},
    }
    assert request_of(page)["workspace"] == workspace
    TrajectoryRequest.parse(request_of(page), motions={SHA256: MOTIONS}.get)
    # What is emptied is left out again, and so is what is back at its default.
    for label in ("Least place of base [m]", "Greatest place of base [m]", "Yaw of block [°]"):
        vector(page, label, "", "")
    page.get_by_label("Which demonstration is copied").select_option("any")
    fill(page, **{"Least distance between objects [m]": ""})
    assert request_of(page)["workspace"].keys() == {"kind", "motions", "widen", "start_jitter"}


def test_the_pages_default_of_copies_is_the_apis(watched: Watched, service: RunningService) -> None:
    open_form(watched.page, service.url)
    defaults = watched.page.evaluate(
        "async () => (await import(new URL('/page/modules/request_draft.js', location.href))).DEFAULTS"
    )
    assert defaults["/workspace/source"] == Objects.model_fields["source"].default


def test_motions_are_listed_once_the_service_is_back(watched: Watched, service: RunningService, uploaded: str) -> None:
    page, asked = watched.page, list[str]()
    watched.expected.append("ERR_FAILED")

    def fail_once(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/motions", fail_once)
    _choose_objects(page, service.url)
    expect(page.get_by_label("Demonstrations", exact=True)).to_contain_text("stacking, 2 demonstrations")
    assert len(asked) == 2
    page.get_by_label("Demonstrations", exact=True).select_option(uploaded)
    assert request_of(page)["workspace"] == {"kind": "objects", "motions": uploaded}


def test_problems_with_copies_are_shown_at_their_fields(
    watched: Watched, service: RunningService, uploaded: str
) -> None:
    page = watched.page
    watched.expected.append("status of 422")
    _choose_objects(page, service.url)
    expect(page.get_by_label("Demonstrations", exact=True)).to_contain_text("stacking")
    page.get_by_role("button", name="Submit the job").click()
    expect(error_at(page, "/workspace/motions")).to_have_text("this key is required")
    page.get_by_label("Demonstrations", exact=True).select_option(uploaded)
    expect(error_at(page, "/workspace/motions")).to_be_hidden()
    fill(page, **{"Objects lie so much farther out [m]": "-1", "Least distance between objects [m]": "far"})
    vector(page, "Least place of block [m]", 0.5, 0.05)
    vector(page, "Yaw of base [°]", 400, "")
    page.get_by_role("button", name="Preview").click()
    expect(error_at(page, "/workspace/widen")).to_have_text("input should be greater than or equal to 0")
    expect(error_at(page, "/workspace/least_distance")).to_contain_text("valid number")
    expect(error_at(page, "/workspace/objects/base/yaw_deg")).to_contain_text("less than or equal to 360")
    expect(error_at(page, "/workspace/objects/block")).to_contain_text("give both, or neither")
    # A file that the service does not have is named, and what is said of objects that are not there as well.
    unknown = {**COPIES, "workspace": {"kind": "objects", "motions": "0" * 64}}
    page.get_by_label("The request as JSON").fill(json.dumps(unknown))
    expect(page.get_by_label("Demonstrations", exact=True)).to_contain_text("000000000000 (not on this service)")
    page.get_by_role("button", name="Preview").click()
    expect(error_at(page, "/workspace/motions")).to_contain_text("there is no motions file of this sha256")
    other = {**COPIES, "workspace": {"kind": "objects", "motions": uploaded, "objects": {"cup": {}}}}
    page.get_by_label("The request as JSON").fill(json.dumps(other))
    page.get_by_role("button", name="Preview").click()
    expect(error_at(page, "/workspace/objects")).to_contain_text("the motions have no object 'cup'")


def test_copies_are_drawn_and_played_with_their_objects(
    watched: Watched, service: RunningService, uploaded: str
) -> None:
    page, canvas = watched.page, watched.page.locator("canvas")
    _choose_objects(page, service.url)
    expect(page.locator(".viewer")).to_have_attribute("data-robot", "panda")
    bare = pixels(canvas)
    page.get_by_label("Demonstrations", exact=True).select_option(uploaded)
    spanned = pixels(canvas)
    assert changed_share(bare, spanned) > 0.0005
    fill(page, **{"Objects lie so much farther out [m]": 0.3})
    assert changed_share(spanned, pixels(canvas)) > 0.01
    page.get_by_label("The request as JSON").fill(json.dumps(COPIES))
    job = submit(page)
    expect(page.locator(".state")).to_have_text("Done")
    page.get_by_label("Trajectory", exact=True).fill("4")
    page.get_by_label("Trajectory", exact=True).press("Enter")
    expect(page.locator(".about")).to_contain_text("Trajectory 4: demonstrated")
    row = httpx.get(f"{service.url}/v1/jobs/{job}/trajectories/4").json()
    copied = page.locator(".copied")
    expect(copied).to_contain_text(f"A copy of demonstration {row['source']}, data/demo_{row['source']}.")
    expect(page.get_by_role("list", name="Objects").get_by_role("listitem")).to_have_text(["block", "base"])
    words = ["free", "with block", "free", "with base"]
    assert set(row["segment"]) == {0, 1, 2, 3}
    scrubber, first = page.get_by_label("Time", exact=True), pixels(canvas)
    for segment, word in enumerate(words):
        sample = row["segment"].index(segment)
        scrubber.fill(str(sample))
        expect(copied.locator(".segment")).to_have_text(word)
        shown = json.loads(page.locator(".viewer").get_attribute("data-objects") or "{}")
        for name in ("block", "base"):
            np.testing.assert_allclose(shown[name], row["objects"][name]["position"][sample], atol=1e-6)
    assert changed_share(first, pixels(canvas)) > 0.003
    # The block went with the hand.
    assert np.linalg.norm(np.subtract(shown["block"], row["objects"]["block"]["position"][0])) > 0.05
    page.get_by_role("button", name="New request from this one").click()
    expect(page.get_by_label("Demonstrations", exact=True)).to_have_value(uploaded)
    assert request_of(page) == COPIES
    # Other trajectories have no objects, and say nothing of demonstrations.
    page.get_by_label("Targets", exact=True).select_option("joint_space")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".about")).to_contain_text("Trajectory 0:")
    expect(page.locator(".copied")).to_be_hidden()


def test_copies_by_keyboard_alone(watched: Watched, service: RunningService, uploaded: str) -> None:
    page = watched.page
    _choose_objects(page, service.url)
    expect(page.get_by_label("Demonstrations", exact=True)).to_contain_text("stacking")
    page.get_by_label("Targets", exact=True).focus()
    tab_to(page, "Demonstrations")
    page.keyboard.type("stacking")
    expect(page.get_by_label("Demonstrations", exact=True)).to_have_value(uploaded)
    assert page.evaluate(NAMELESS) == []
    tab_to(page, "Upload a motions file")
    tab_to(page, "Objects lie so much farther out [m]")
    page.keyboard.type("0.01")
    tab_to(page, "Trajectories", backwards=True)
    page.keyboard.press("Control+A")
    page.keyboard.type("3")
    tab_to(page, "Preview 8")
    page.keyboard.press("Enter")
    expect(page.locator(".segment")).to_have_text("free")
    tab_to(page, "Time")
    page.keyboard.press("End")
    expect(page.locator(".segment")).to_have_text("with base")
    page.keyboard.press("Space")
    expect(page.locator(".segment")).to_have_text("free")


def test_copies_on_a_small_screen(watched: Watched, service: RunningService, uploaded: str) -> None:
    page = watched.page
    page.set_viewport_size({"width": 360, "height": 740})
    _choose_objects(page, service.url)
    page.get_by_label("Demonstrations", exact=True).select_option(uploaded)
    expect(page.get_by_role("group", name="Yaw of base [°]")).to_be_visible()
    fits(page)
    fill(page, Trajectories=3)
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".copied")).to_contain_text(
        re.compile("A copy of demonstration [01], data/demo_[01]. Now: free")
    )
    fits(page)
