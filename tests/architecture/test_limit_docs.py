"""docs/limits.md has a row for each limit, and each row is true."""

import re
from datetime import timedelta
from typing import Any, Final

import attrs

from domain.model.rate_limits import Limit
from entrypoints.http.problems import PROBLEM_TYPES
from entrypoints.limit_settings import LimitSettings
from entrypoints.setting_types import INFO
from entrypoints.settings import Settings, setting_infos
from ports.errors import limit_error
from tests.architecture.sources import ROOT

PAGE: Final = (ROOT / "docs/limits.md").read_text("utf-8")
ROW: Final = re.compile(r"^\| `([a-z-]+)` \| (.+) \|$", re.MULTILINE)
WINDOWS: Final = {
    timedelta(minutes=1): "per minute",
    timedelta(hours=1): "per hour",
    timedelta(days=1): "per day",
    None: "at once",
}

FIELDS: Final = {field.name: field.metadata[INFO].name for field in attrs.fields(LimitSettings)}
"""The environment variable of each field."""


def rows(text: str) -> dict[str, list[str]]:
    return {name: rest.split(" | ") for name, rest in ROW.findall(text)}


def default_of(limit: Limit) -> str:
    return f"{limit.amount:,} {WINDOWS[limit.window]}"


def answer_of(limit: Limit) -> str:
    code = limit_error(limit, remaining=0, retry_after=timedelta(0)).code
    return f"{PROBLEM_TYPES[code].status} `{code}`"


def test_every_limit_has_a_row_with_its_default_and_its_answer() -> None:
    listed = {name: (row[2], row[4]) for name, row in rows(PAGE).items()}

    assert listed == {
        limit.name: (default_of(limit), answer_of(limit)) for limit in Settings().limit_table
    }


def test_the_setting_in_each_row_changes_that_limit() -> None:
    infos = {info.name: info for info in setting_infos()}
    for name, row in rows(PAGE).items():
        info = infos[row[3].strip("`")]
        [field] = [key for key, value in FIELDS.items() if value == info.name]
        changes: dict[str, Any] = {field: 12_345}
        changed = Settings(**changes).limit_table
        [limit] = [limit for limit in changed if limit.name == name]

        assert limit.amount == 12_345


def test_a_row_that_is_wrong_is_found() -> None:
    assert rows("| `made-up-total` | a | b | 1 per hour | `X` | 429 |") == {
        "made-up-total": ["a", "b", "1 per hour", "`X`", "429"]
    }
