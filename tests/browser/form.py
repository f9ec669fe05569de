"""The form of a request, as a person uses it."""

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect


def open_form(page: Page, url: str) -> None:
    """Goes to the form, and waits until the robots are listed."""
    page.goto(url)
    expect(page.get_by_label("Arm", exact=True)).to_contain_text("xarm7")


def fill(page: Page, **values: float | str) -> None:
    """Fills fields by their labels, with _ for a space."""
    for label, value in values.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(str(value))


def vector(page: Page, label: str, *values: float | str) -> None:
    """Fills numbers that stand beside each other."""
    inputs = page.get_by_role("group", name=label, exact=True).last.get_by_role("textbox")
    expect(inputs).to_have_count(len(values))
    for index, value in enumerate(values):
        inputs.nth(index).fill(str(value))


def submit(page: Page) -> str:
    """Submits the request. Returns the job's id."""
    page.get_by_role("button", name="Submit the job").click()
    expect(page).to_have_url(re.compile("#/jobs/[0-9a-f]{64}$"))
    return page.url.rpartition("/")[2]


def request_of(page: Page) -> Any:
    """The request as the page writes it."""
    return json.loads(page.get_by_label("The request as JSON").input_value())


def error_at(page: Page, pointer: str) -> Locator:
    """What is said next to the field of a JSON pointer."""
    return page.locator(f'[data-pointer="{pointer}"] > .error')
