"""A real headless Chromium for the browser tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

expect.set_options(timeout=30_000)  # what is asserted is that it comes, not how soon: both cores may be busy

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    # No network but loopback: Chromium looks for updates and more by itself.
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _chromium() -> str:
    named = os.environ.get("CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        missing = f"CHROMIUM names {named!r}, which cannot be run" if named else "No Chromium was found"
        pytest.fail(
            f"{missing}. Install one (Debian, Ubuntu: `apt-get install chromium`; "
            "macOS: `brew install --cask chromium`) or set CHROMIUM to the path of a Chromium or Chrome program.",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once a module.

    Not once a session: while the synchronous Playwright runs, its event loop counts as running in this thread,
    and asynchronous tests of other modules could not start theirs.
    """
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_chromium(), args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()
