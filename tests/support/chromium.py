"""The system's Chromium."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, async_playwright

REQUIRED: Final = "PRIVITY_TEST_BROWSER"
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Chromium's sandbox does not work in containers; all test sites are on this machine.
_ARGUMENTS: Final = ("--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1")
MISSING: Final = (
    f"no Chromium on the path ({', '.join(_NAMES)}): the page was not tested in a browser"
)


def chromium_or_skip() -> str:
    """The path of the browser; without one, the test is skipped, or fails if one is required."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is not None:
        return path
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{MISSING}, although {REQUIRED} requires it", pytrace=False)
    pytest.skip(MISSING)


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """A running browser; without one, the test is skipped, or fails if one is required."""
    path = chromium_or_skip()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        await browser.close()
