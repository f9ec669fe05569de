"""/docs in a real browser: the REST API to browse and to try, from this service alone."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.services.example import RunningService

pytestmark = pytest.mark.browser


def test_the_operations_are_shown_and_can_be_tried(watched: Watched, service: RunningService) -> None:
    page = watched.page
    page.goto(f"{service.url}/docs")
    expect(page.get_by_role("heading", name="Headstart")).to_be_visible()
    preview = page.locator("#operations-service-preview")
    preview.locator(".opblock-summary-control").click()
    preview.get_by_role("button", name="Try it out").click()
    preview.locator("textarea").fill(json.dumps({"robot": "panda", "count": 1}))
    preview.get_by_role("button", name="Execute").click()
    expect(preview.locator(".live-responses-table tbody .response-col_status")).to_contain_text("200")
    expect(preview.locator(".live-responses-table")).to_contain_text('"trajectory_id": 0')
    paths = {call.removeprefix(service.url) for call in watched.calls if not call.startswith("data:")}
    assert {"/docs", "/openapi.json", "/v1/preview", "/page/vendor/swagger-ui-dist/swagger-ui-bundle.js"} <= paths
