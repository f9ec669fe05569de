"""The form in a real browser: it says every request, and shows the API's problems where they belong."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from services.synthesis.request.trajectory_request import TrajectoryRequest
from tests.browser.conftest import Watched
from tests.browser.form import error_at, fill, open_form, request_of, vector
from tests.browser.picture import changed_share, pixels
from tests.services.example import RunningService
from tests.shared.summary_example import example_summary

pytestmark = pytest.mark.browser

FULL: dict[str, Any] = {
    "robot": "xarm7",
    "count": 12,
    "seed": 7,
    "rate_hz": 50,
    "families": {"point_to_point": 0.5, "via_points": 0.5, "hold": 1, "pick_and_place": 2},
    "workspace": {
        "kind": "box",
        "min": [0.2, -0.25, 0.1],
        "max": [0.5, 0.3, 0.5],
        "orientation": {"axis": [0.1, 0, -1], "angle_deg": 45},
    },
    "goal": "position_axis",
    "speed_scale": [0.2, 0.9],
    "tool_speed": [0.1, 0.5],
    "via_velocity": [0.3, 0.8],
    "self_collision": False,
    "keep_out": [
        {"kind": "half_space", "normal": [0, 0, 1], "offset": -0.01},
        {"kind": "box", "min": [0.4, -0.1, 0], "max": [0.6, 0.1, 0.25]},
    ],
    "columns": ["joint_acceleration", "profile_time", "profile_jerk"],
    "shard_rows": 6,
}


def test_the_form_says_all_that_a_request_can(watched: Watched, service: RunningService) -> None:
    page = watched.page
    open_form(page, service.url)
    assert request_of(page) == {"robot": "panda", "count": 1000}
    page.get_by_label("Arm", exact=True).select_option("xarm7")
    fill(page, Trajectories=12, Seed=7, Samples_per_second=50, Rows_in_each_shard=6)
    page.get_by_label("Targets", exact=True).select_option("box")
    vector(page, "Lowest corner [m]", 0.2, -0.25, 0.1)
    vector(page, "Highest corner [m]", 0.5, 0.3, 0.5)
    vector(page, "The tool points along", 0.1, 0, -1)
    fill(page, Up_to_so_many_degrees_off_it=45)
    page.get_by_label("To be reached").select_option("position_axis")
    page.get_by_role("button", name="Add a table or wall").click()
    fill(page, **{"Offset along it [m]": -0.01})
    page.get_by_role("button", name="Add a box").click()
    vector(page, "Highest corner [m]", 0.6, 0.1, 0.25)
    page.get_by_label("Reject trajectories in which the arm meets itself").uncheck()
    for family, weight in (("hold", 1), ("pick_and_place", 2)):
        page.locator(f'[data-at="/families/{family}"]').fill(str(weight))
    page.get_by_label("Go through via points without stopping").check()
    vector(page, "Speed, as a share of the limits", 0.2, 0.9)
    page.get_by_label("Stretch motions to a tool speed").check()
    page.get_by_role("group", name="Range", exact=True).last.get_by_role("textbox").nth(1).fill("0.5")
    for column in ("joint_acceleration", "profile_time", "profile_jerk"):
        page.get_by_label(column, exact=True).check()
    assert request_of(page) == FULL
    TrajectoryRequest.parse(request_of(page))
    # A key back at its default is left out, and what is taken away is gone.
    fill(page, Seed=0, Samples_per_second=20)
    page.get_by_role("button", name="Remove keep-out 1").click()
    left = {key: value for key, value in FULL.items() if key not in ("seed", "rate_hz", "keep_out")}
    assert request_of(page) == {**left, "keep_out": FULL["keep_out"][1:]}


def test_text_and_form_follow_each_other(watched: Watched, service: RunningService) -> None:
    page = watched.page
    open_form(page, service.url)
    page.get_by_label("The request as JSON").fill(json.dumps(FULL))
    expect(page.get_by_label("Samples per second")).to_have_value("50")
    expect(page.get_by_role("group", name="The tool points along").get_by_role("textbox").first).to_have_value("0.1")
    expect(page.locator(".card")).to_have_count(2)
    # Keys that the form does not know stay.
    page.get_by_label("The request as JSON").fill('{"robot": "panda", "count": 3, "colour": "red"}')
    fill(page, Seed=4)
    assert request_of(page) == {"robot": "panda", "count": 3, "colour": "red", "seed": 4}
    for text in ("{", "[]", "null", '"panda"'):
        page.get_by_label("The request as JSON").fill(text)
        expect(page.locator(".json .error")).to_contain_text("This is not used yet")
    # Whatever else is written there, the page stays whole.
    odd: list[Any] = [5, None, [None], {"kind": "poses", "poses": [None, 3]}, {"kind": "box", "min": 1}]
    parts = [(key, value) for key in ("workspace", "keep_out", "families") for value in odd]
    for key, value in [*parts, ("columns", 3), ("speed_scale", 3), ("tool_speed", "x"), ("robot", None), ("goal", {})]:
        page.get_by_label("The request as JSON").fill(json.dumps({"robot": "panda", "count": 2, key: value}))
    fill(page, Trajectories=5)
    assert request_of(page)["count"] == 5


def test_problems_are_shown_at_their_fields(watched: Watched, service: RunningService) -> None:
    page = watched.page
    watched.expected.append("status of 422")
    open_form(page, service.url)
    page.get_by_label("Targets", exact=True).select_option("box")
    fill(page, Trajectories=0, Seed="many")
    vector(page, "Lowest corner [m]", 0.3, 0.5, "")
    page.get_by_role("button", name="Submit the job").click()
    expect(error_at(page, "/count")).to_have_text("input should be greater than or equal to 1")
    expect(error_at(page, "/seed")).to_contain_text("valid integer")
    expect(error_at(page, "/workspace/min")).to_contain_text("valid number")
    summary = page.locator(".summary")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("The request is not valid.")
    field = page.get_by_label("Trajectories", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    assert (
        page.locator(f"#{(field.get_attribute('aria-describedby') or '').split()[0]}").inner_text().startswith("input")
    )
    # The link leads to the field; writing in it takes its error away, and no other.
    summary.get_by_role("link", name="Trajectories").click()
    expect(field).to_be_focused()
    page.keyboard.type("5")
    expect(error_at(page, "/count")).to_be_hidden()
    expect(error_at(page, "/seed")).to_be_visible()
    # What has no field of its own is in the summary.
    page.get_by_label("The request as JSON").fill('{"robot": "panda", "count": 3, "colour": "red"}')
    page.get_by_role("button", name="Preview").click()
    expect(summary).to_contain_text("/colour: unknown key")
    fill(page, Trajectories=2_000_000)
    page.get_by_label("The request as JSON").fill('{"robot": "panda", "count": 1000000001, "shard_rows": 65536}')
    page.get_by_role("button", name="Submit the job").click()
    expect(error_at(page, "/count")).to_contain_text("less than or equal to 1000000000")


def test_a_request_is_drawn_and_previewed(watched: Watched, service: RunningService) -> None:
    page, canvas = watched.page, watched.page.locator("canvas")
    open_form(page, service.url)
    page.get_by_label("Arm", exact=True).select_option("xarm7")
    expect(page.locator(".viewer")).to_have_attribute("data-robot", "xarm7")
    bare = pixels(canvas)
    page.get_by_label("Targets", exact=True).select_option("box")
    boxed = pixels(canvas)
    assert changed_share(bare, boxed) > 0.02
    fill(page, Up_to_so_many_degrees_off_it=150)
    assert changed_share(boxed, pixels(canvas)) > 0.001
    page.get_by_role("button", name="Add a table or wall").click()
    assert changed_share(boxed, pixels(canvas)) > 0.05
    page.get_by_role("button", name="Top").click()
    above = pixels(canvas)
    page.get_by_label("Targets", exact=True).select_option("poses")
    assert changed_share(above, pixels(canvas)) > 0.01
    page.get_by_label("Targets", exact=True).select_option("joint_space")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".about")).to_contain_text("Trajectory 0:")
    page.get_by_role("button", name="7", exact=True).click()
    expect(page.locator(".about")).to_contain_text("Trajectory 7:")
    assert float(page.locator(".viewer").get_attribute("data-tool-gap") or 1) < 1e-5
    # What was previewed is not what is written now.
    fill(page, Seed=9)
    expect(page.locator(".about")).to_be_hidden()


def test_a_request_is_fitted_to_a_chosen_file(watched: Watched, service: RunningService, tmp_path: Path) -> None:
    page = watched.page
    open_form(page, service.url)
    page.get_by_label("Targets", exact=True).select_option("fitted")
    file, wrong = page.get_by_label("Summary of the demonstrations"), tmp_path / "wrong.json"
    wrong.write_text("no JSON")
    file.set_input_files(wrong)
    expect(error_at(page, "/workspace/summary").locator("xpath=..")).to_contain_text("wrong.json is not JSON")
    wrong.write_text('{"format": "something else"}')
    file.set_input_files(wrong)
    watched.expected.append("status of 422")
    page.get_by_role("button", name="Preview").click()
    expect(error_at(page, "/workspace/summary")).to_be_visible()
    summary = tmp_path / "summary.json"
    summary.write_text(json.dumps(example_summary(windows=256)))
    file.set_input_files(summary)
    fill(page, **{"Shift of a whole motion [m]": 0.05})
    assert request_of(page)["workspace"]["jitter"] == {"shift": 0.05}
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".about")).to_contain_text("Trajectory 0:")


def test_the_pages_defaults_are_the_apis(watched: Watched, service: RunningService) -> None:
    open_form(watched.page, service.url)
    defaults = watched.page.evaluate(
        "async () => (await import(new URL('/page/modules/request_draft.js', location.href))).DEFAULTS"
    )
    told = TrajectoryRequest.parse({"robot": "panda", "count": 1}).model_dump(mode="json")
    told["workspace"] = {"kind": "joint_space"}
    # shard_rows follows from the others: the page leaves it out where nobody asks for it.
    assert {f"/{key}": value for key, value in told.items() if key not in ("robot", "count", "shard_rows")} == {
        key: value for key, value in defaults.items() if key.count("/") == 1
    }
    box = {"kind": "box", "min": [0, 0, 0], "max": [1, 1, 1]}
    cone = TrajectoryRequest.parse({"robot": "panda", "count": 1, "workspace": box}).model_dump(mode="json")[
        "workspace"
    ]
    assert defaults["/workspace/orientation/axis"] == cone["orientation"]["axis"]
    assert defaults["/workspace/orientation/angle_deg"] == cone["orientation"]["angle_deg"]
