"""Finds the system's Chromium."""

import os
import shutil
from typing import Final

import pytest

REQUIRED: Final = "PRIVITY_TEST_BROWSER"
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
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
