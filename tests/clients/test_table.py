"""The tables in ``docs/clients.md``: how they are written and compared."""

import re
from pathlib import Path

import pytest

from entrypoints.http.problems import PROBLEM_TYPES
from tests.support.client_suites import check
from tools import client_table
from tools.client_table import (
    FOLDER_VARIABLE,
    LANGUAGES,
    PAGE,
    Result,
    documented_rows,
    results_in,
    rows,
    with_table,
)

CELL = re.compile(r"works|-|refused: `([a-z_]+)`")
EMPTY = "Before.\n<!-- python clients -->\n<!-- end -->\nAfter.\n"
LINE = (
    '{"client": "acme", "version": "1.2", "api": "responses", "scenario": "%s", "outcome": "%s"}\n'
)
RESULTS = results_in([LINE % ("text", "works"), LINE % ("error", "refused: body_invalid")])
ROW = "| `acme` | 1.2 | responses | works | - | - | - | - | - | refused: `body_invalid` |"


def a_result(outcome: str) -> Result:
    return Result(client="acme", version="1.2", api="responses", scenario="text", outcome=outcome)


def test_each_client_and_api_is_a_row() -> None:
    assert rows(RESULTS) == [ROW]


def test_a_table_is_replaced_and_read_again() -> None:
    page = with_table("python", with_table("python", EMPTY, [a_result("works")]), RESULTS)

    assert documented_rows("python", page) == documented_rows("python", page, "acme") == [ROW]
    assert documented_rows("python", page, "acm") == []
    assert page.startswith("Before.\n<!-- python clients -->\n| client | version | API | text |")
    assert page.endswith(f"{ROW}\n<!-- end -->\nAfter.\n")


@pytest.mark.parametrize("outcome", ["fails: an error", "", "refused", "refused: Something"])
def test_anything_but_success_and_a_named_refusal_fails(outcome: str) -> None:
    with pytest.raises(AssertionError, match="responses, text: "):
        check("python", [a_result(outcome)])


def test_a_refusal_names_a_code_of_privity() -> None:
    with pytest.raises(AssertionError):
        check("python", [a_result("refused: invented")])


def test_results_that_the_table_does_not_show_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "clients.md"
    page.write_text(with_table("python", EMPTY, RESULTS))
    monkeypatch.setattr("tests.support.client_suites.PAGE", page)
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    check("python", RESULTS)

    with pytest.raises(AssertionError, match="just clients"):
        check("python", [a_result("works")])


def test_a_run_writes_the_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "clients.md"
    page.write_text(EMPTY)

    def run_suites(folder: str) -> None:
        monkeypatch.setenv(FOLDER_VARIABLE, folder)
        check("python", RESULTS)

    monkeypatch.setattr(client_table, "PAGE", page)
    monkeypatch.setattr(client_table, "_run_suites", run_suites)
    client_table.main()

    assert page.read_text() == with_table("python", EMPTY, RESULTS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_cell_says_that_it_works_or_names_the_refusal(language: str) -> None:
    for row in documented_rows(language, PAGE.read_text("utf-8")):
        cells = row.strip("| ").split(" | ")[3:]

        found = [CELL.fullmatch(cell) for cell in cells]
        assert None not in found, row
        assert {cell[1] for cell in found if cell} - {None} <= set(PROBLEM_TYPES)
