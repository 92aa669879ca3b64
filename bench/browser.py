"""Headless Chromium or Chrome, for measurements, tests and pictures of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATH = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)


@contextmanager
def browsing() -> Iterator[Any]:
    """Open the browser at PATH, which is None where there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PATH, args=["--no-sandbox"])
        yield browser
        browser.close()
