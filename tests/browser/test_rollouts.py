"""Rollouts in a real browser: a file that the trainer wrote is opened and played, and any other is refused by name."""

import json
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.picture import changed_share, colours, pixels
from tests.browser.test_everyone import CONTRAST, NAMELESS, fits, tab_to
from tests.services.example import RunningService
from tests.trainer.simulation.own_tasks import Point
from tests.trainer.simulation.test_rollout import reaching
from trainer.evaluation.rollouts_file import RolloutsFile
from trainer.simulation.expert_attempt import attempt_of_expert
from trainer.simulation.rollout import rollout
from trainer.simulation.task import Task, find_task

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two rollouts of Lift, the second of which fails, and one of joints of an arm that no service knows."""
    folder = tmp_path_factory.mktemp("rollouts")
    lift: Task = find_task("lift")
    failing = rollout(lift, _still, [4], followed={4}, n_action_steps=3, episode_limit=31)
    results = [*rollout(lift, _gliding, [3], followed={3}), *failing]
    made = {"lift": RolloutsFile(folder / "lift.json", lift, {"run": "reaching"})}
    for result in results:
        made["lift"].add(result, attempt_of_expert(lift, result.seed))
    point = cast(Task, Point())
    made["point"] = RolloutsFile(folder / "point.json", point, {})
    for result in rollout(point, _halfway, [12], n_action_steps=1):
        made["point"].add(result, attempt_of_expert(point, result.seed))
    for file in made.values():
        file.write()
    return {name: folder / f"{name}.json" for name in made}


def _gliding(observations: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """There in four steps, not in one."""
    actions, tool = reaching(observations, fixed), observations[:, -1:, :3]
    shares = np.arange(1, 5)[:, None] / 4
    actions[..., :3] = tool + shares * (actions[..., :3] - tool)
    return actions


def _still(observations: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Where the tool is, six steps long."""
    latest = observations[:, -1]
    action = np.concatenate([latest[:, :9], np.full((len(latest), 1), -1.0)], axis=1)
    return np.repeat(action[:, None], 6, axis=1)


def _halfway(observations: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    joint, goal = observations[:, -1].T
    return np.stack([joint + (goal - joint) / 2, np.full_like(joint, -1)], axis=1)[:, None]


def _open(page: Page, url: str, file: Path) -> dict[str, Any]:
    page.goto(f"{url}/#/rollouts")
    page.get_by_label("A file of rollouts").set_input_files(file)
    expect(page.get_by_role("status").filter(has_text=file.name)).to_be_visible()
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _drawn(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.locator(".viewer").get_attribute("data-rollout") or "{}")
    return found


def test_a_rollout_is_played(watched: Watched, service: RunningService, files: dict[str, Path]) -> None:
    page, viewer = watched.page, watched.page.locator(".viewer")
    content = _open(page, service.url, files["lift"])
    first, second = content["rollouts"]
    expect(page.get_by_role("status").filter(has_text="lift.json")).to_have_text(
        "lift.json: 2 rollouts of lift by reaching, 1 succeeded."
    )
    expect(page.locator(".about")).to_have_text(
        f"Rollout 3 of lift: succeeded after {first['steps']} steps, {first['steps'] / 20:g} s."
    )
    expect(viewer).to_have_attribute("data-robot", "panda")
    expect(page.get_by_role("list", name="Lines and objects").get_by_role("listitem")).to_have_text(
        [
            "executed: teal with an open gripper, orange with a closed one",
            "predicted: the latest answer with its steps, and faintly those before",
            "demonstrated from the same beginning by the task's expert, which succeeded",
            "cube",
        ]
    )
    demonstrated = json.loads(viewer.get_attribute("data-demonstrated") or "[]")
    np.testing.assert_allclose(demonstrated, first["demonstrated"]["ee_position"], atol=1e-6)
    scrubber, before = page.get_by_label("Time", exact=True), pixels(page.locator("canvas"))
    assert colours(before) > 200
    for step in (0, 5, 8, first["steps"]):
        scrubber.fill(str(step))
        number = min(step // 4, len(first["predicted"]) - 1)
        drawn, answer = _drawn(page), first["predicted"][number]
        np.testing.assert_allclose(drawn["tool"], first["reached"]["ee_position"][step], atol=1e-9)
        assert drawn["answers"] == number + 1
        np.testing.assert_allclose(drawn["latest"], answer["ee_position"], atol=1e-6)
        cube = json.loads(viewer.get_attribute("data-objects") or "{}")["cube"]
        np.testing.assert_allclose(cube, first["reached"]["objects"]["cube"]["position"][step], atol=1e-9)
        # The arm's own forward kinematics, with the joints that were recorded, ends where the simulator had the tool.
        assert float(viewer.get_attribute("data-tool-gap") or 1) < 1e-5
        expect(page.locator(".rolled .whose")).to_have_text(
            f"Step {step} of {first['steps']}. Answer {number + 1} of {len(first['predicted'])}, "
            f"predicted at step {answer['step']}."
        )
    assert changed_share(before, pixels(page.locator("canvas"))) > 0.003
    scrubber.fill("0")
    page.get_by_role("button", name="Path", exact=True).click()
    near = pixels(page.locator("canvas"))
    assert changed_share(before, near) > 0.05
    # Over the arm, the answer's line is in its colour: #1c7ed6.
    assert int((np.abs(near - [0x1C, 0x7E, 0xD6]).max(-1) < 32).sum()) > 40
    scrubber.fill(str(first["steps"]))
    expect(page.locator(".joint")).to_have_count(7)
    expect(page.locator(".joint .range").first).to_have_text("-2.9 … 2.9")
    expect(page.locator(".joint .value").first).to_have_text(f"{first['reached']['joint_position'][-1][0]:.3g}")

    page.get_by_role("button", name="4, failed").click()
    expect(page.locator(".about")).to_have_text("Rollout 4 of lift: failed after 31 steps, 1.55 s.")
    scrubber.fill("7")
    drawn = _drawn(page)
    assert (drawn["answers"], len(drawn["latest"])) == (3, 6)
    np.testing.assert_allclose(drawn["latest"], second["predicted"][2]["ee_position"], atol=1e-6)
    # Back here from another view, the file is still open.
    page.get_by_role("link", name="New request").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New request")
    page.get_by_role("link", name="Rollouts").click()
    expect(page.locator(".about")).to_contain_text("Rollout 3 of lift")
    assert [call for call in watched.calls if "lift.json" in call] == []


def test_joints_of_an_unknown_arm_are_played(watched: Watched, service: RunningService, files: dict[str, Path]) -> None:
    page = watched.page
    (only,) = _open(page, service.url, files["point"])["rollouts"]
    expect(page.locator(".note")).to_contain_text("This service has no arm one_joint with these joints")
    legend = page.get_by_role("list", name="Lines and objects").get_by_role("listitem")
    expect(legend.first).to_contain_text("commanded, since what was reached is not known")
    expect(page.locator(".joint")).to_have_count(1)
    page.get_by_label("Time", exact=True).fill("2")
    expect(page.locator(".joint .value")).to_have_text(f"{only['commanded']['joint_position'][2][0]:.3g}")
    expect(page.locator(".joint .limit")).to_have_count(0)


def test_a_file_that_is_none_is_refused_by_name(
    watched: Watched, service: RunningService, files: dict[str, Path], tmp_path: Path
) -> None:
    page, content = watched.page, _open(watched.page, service.url, files["lift"])
    broken = json.loads(json.dumps(content))
    broken["rollouts"][1]["reached"]["ee_position"][5] = [0.1, None, 0.3]
    wrong: dict[str, tuple[str | bytes, str]] = {
        "picture.png": (b"\x89PNG\r\n", "is no file of rollouts: it is no JSON."),
        "request.json": (b'{"robot": "panda"}', "does not say that its format is headstart-rollouts."),
        "null.json": (b"null", "does not say that its format is headstart-rollouts."),
        "newer.json": (
            json.dumps({**content, "version": 2}),
            "has version 2 of its format; this page reads version 1.",
        ),
        "cut.json": (
            json.dumps({**content, "rollouts": [{"seed": 1}]}),
            "is broken: rollouts[0].success is not true or false.",
        ),
        "broken.json": (json.dumps(broken), "is broken: rollouts[1].reached.ee_position[5] is not 3 numbers."),
        "large.json": (b" " * ((32 << 20) + 1), "has 33.6 MB; a file of rollouts has 32 MiB at most."),
    }
    for name, (text, said) in wrong.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        page.get_by_label("A file of rollouts").set_input_files(tmp_path / name)
        expect(page.locator(".rollouts .error")).to_contain_text(f"{name} ")
        expect(page.locator(".rollouts .error")).to_contain_text(said)
        # What was open stays.
        expect(page.locator(".about")).to_contain_text("Rollout 3 of lift")
    # A file may be dropped, too.
    page.evaluate(DROP, files["point"].read_text())
    expect(page.locator(".about")).to_contain_text("Rollout 12 of point")
    expect(page.locator(".rollouts .error")).to_be_empty()


def test_rollouts_are_for_everyone(watched: Watched, service: RunningService, files: dict[str, Path]) -> None:
    page = watched.page
    _open(page, service.url, files["lift"])
    expect(page.locator(".about")).to_be_visible()
    assert page.evaluate(NAMELESS) == []
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(CONTRAST) == []
    page.get_by_role("link", name="Rollouts").focus()
    tab_to(page, "A file of rollouts")
    tab_to(page, "4, failed")
    page.keyboard.press("Enter")
    expect(page.locator(".about")).to_contain_text("Rollout 4 of lift")
    tab_to(page, "Time")
    page.keyboard.press("End")
    expect(page.locator(".rolled")).to_contain_text("Step 31 of 31.")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".rolled")).to_contain_text("Step 10 of 31. Answer 4 of 11, predicted at step 9.")
    page.keyboard.press("Space")
    expect(page.locator(".rolled")).to_contain_text("Step 31 of 31.")
    page.set_viewport_size({"width": 360, "height": 740})
    fits(page)


DROP = """text => {
    const data = new DataTransfer();
    data.items.add(new File([text], "point.json"));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
