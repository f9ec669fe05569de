"""The Chromium that the browser tests drive: one that is installed, since not every network has Playwright's own."""

import os
import shutil
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
ADVICE = (
    "the browser tests need Chromium or Chrome: install it (Debian: `apt-get install chromium`; Fedora: `dnf install "
    "chromium`; anywhere Playwright's downloads are reached: `.venv/bin/playwright install chromium`), or name one in "
    "HEADSTART_CHROMIUM"
)

ARGUMENTS = [
    # WebGL without a graphics card.
    "--enable-unsafe-swiftshader",
    # It calls home otherwise, and the tests watch that nothing does.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    # Root, as in containers, has no sandbox to be in.
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
]


def find_chromium() -> str | None:
    """Path of a browser, the one in HEADSTART_CHROMIUM first; None if there is none but Playwright's perhaps."""
    named = os.environ.get("HEADSTART_CHROMIUM")
    if named:
        return named
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return found or (str(_MAC) if _MAC.exists() else None)


if __name__ == "__main__":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = find_chromium() or playwright.chromium.executable_path
    if not Path(path).exists():
        print(f"error: {ADVICE}", file=sys.stderr)
        sys.exit(2)
    print(f"Chromium: {path}")
