"""The system's Chromium, and what happens where there is none."""

import os
import shutil
from typing import Final

import pytest

REQUIRED: Final = "PRIVITY_TEST_BROWSER"
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING: Final = (
    f"no Chromium on the path ({', '.join(_NAMES)}): the page was not tried in a browser"
)


def chromium_or_skip() -> str:
    """The path of the browser; without one the test is skipped, or fails where it is required."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is not None:
        return found
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{MISSING}, and {REQUIRED} says that it must be", pytrace=False)
    pytest.skip(MISSING)
