"""The page for everyone: by keyboard alone, on a small screen, in the dark, for who listens."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.form import fill, open_form, submit
from tests.services.example import RunningService

pytestmark = pytest.mark.browser


def tab_to(page: Page, name: str, limit: int = 80, backwards: bool = False) -> None:
    """Presses Tab until the focus is on what has this name; the focus must be visible on the way."""
    for _ in range(limit):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        focused = page.locator(":focus")
        if focused.count() == 0:
            continue
        assert (
            focused.evaluate("node => node.matches(':focus-visible') && getComputedStyle(node).outlineStyle") == "solid"
        )
        label = focused.evaluate(
            "node => [...(node.labels ?? [])].map(l => l.textContent).join() || node.ariaLabel || node.textContent"
        )
        if label.strip() == name:
            return
    raise AssertionError(f"Tab never reaches {name!r}")


def test_by_keyboard_alone(watched: Watched, service: RunningService) -> None:
    page = watched.page
    open_form(page, service.url)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    tab_to(page, "Arm")
    page.keyboard.type("xarm")
    tab_to(page, "Trajectories")
    page.keyboard.press("Control+A")
    page.keyboard.type("30")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("xarm7, 30 trajectories")
    expect(page.locator("main")).to_be_focused()
    expect(page.locator(".about")).to_contain_text("Trajectory 0:")
    tab_to(page, "The arm in 3D. Arrow keys turn the view, plus and minus come nearer and go away.")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("+")
    time = page.locator(".time")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    tab_to(page, "Time")
    page.keyboard.press("Home")
    expect(time).to_contain_text("0.00 /")
    page.keyboard.press("ArrowRight")
    expect(time).to_contain_text("0.05 /")
    page.keyboard.press("Shift+ArrowRight")
    expect(time).to_contain_text("0.55 /")
    assert (page.locator(":focus").get_attribute("aria-valuetext") or "").startswith("0.55 of ")
    page.keyboard.press("End")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_every_control_has_a_name(watched: Watched, service: RunningService) -> None:
    page = watched.page
    open_form(page, service.url)
    for kind in ("box", "poses", "fitted", "objects"):
        page.get_by_label("Targets", exact=True).select_option(kind)
        nameless = page.evaluate(NAMELESS)
        assert nameless == []
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(ids) == len(set(ids))


def test_without_webgl_the_plots_are_there(watched: Watched, service: RunningService) -> None:
    page = watched.page
    watched.expected.append("THREE.WebGLRenderer")
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    open_form(page, service.url)
    expect(page.locator(".note")).to_contain_text("This browser has no WebGL")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".joint")).to_have_count(7)
    page.get_by_label("Time", exact=True).fill("10")
    expect(page.locator(".time")).to_contain_text("0.50 /")


def test_on_a_small_screen(watched: Watched, service: RunningService) -> None:
    page = watched.page
    page.set_viewport_size({"width": 360, "height": 740})
    open_form(page, service.url)
    page.get_by_label("Arm", exact=True).select_option("xarm7")
    for kind in ("box", "poses", "fitted", "objects", "joint_space"):
        page.get_by_label("Targets", exact=True).select_option(kind)
        page.get_by_role("button", name="Add a table or wall").click()
        fits(page)
    page.get_by_label("The request as JSON").fill('{"robot": "xarm7", "count": 40}')
    submit(page)
    expect(page.locator(".state")).to_have_text("Done")
    expect(page.locator(".coverage h3").first).to_be_visible()
    expect(page.locator(".about")).to_be_visible()
    fits(page)
    assert page.locator(".joint .name").all_inner_texts() == [f"joint{index}" for index in range(1, 8)]


def fits(page: Page) -> None:
    """Asserts that nothing is wider than a screen of 360 pixels."""
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    wide = page.evaluate("""() => [...document.querySelectorAll("main *")]
        .filter((node) => node.getClientRects().length && node.getBoundingClientRect().right > 360.5)
        .map((node) => node.outerHTML.slice(0, 120))""")
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(watched: Watched, service: RunningService, scheme: str) -> None:
    page = watched.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    open_form(page, service.url)
    watched.expected.append("status of 422")
    fill(page, Trajectories=0)
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".summary")).to_be_visible()
    faint = page.evaluate(CONTRAST)
    assert faint == []


NAMELESS = """() => [...document.querySelectorAll("main :is(input, select, textarea, button, canvas)")]
    .filter((node) => !node.labels?.length && !node.ariaLabel && !node.textContent.trim())
    .map((node) => node.outerHTML)"""
CONTRAST = """() => {
    const channels = (color) => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d");
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const color = channels(getComputedStyle(node).backgroundColor);
            if (color[3] === 255) return color;
        }
        return [255, 255, 255];
    };
    const faint = [];
    for (const node of document.querySelectorAll("body *")) {
        const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
        if (!text || !node.checkVisibility() || node.disabled || node.closest("dialog")) continue;
        const [a, b] = [light(channels(getComputedStyle(node).color)), light(ground(node))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${node.outerHTML.slice(0, 100)}`);
    }
    return faint;
}"""
