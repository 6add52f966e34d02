"""Runs the suites of the clients and writes their tables in ``docs/clients.md``.

just clients

A suite reports each scenario as a ``Result``. Its test compares the results with the table; only
this script changes the table.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "clients.md"
FOLDER_VARIABLE: Final = "PRIVITY_CLIENT_RESULTS"
"""Names the folder for the results. If it is set, the suites do not compare them with the table."""
SUITES: Final = ("tests/clients/test_python_clients.py", "tests/clients/test_node_clients.py")
LANGUAGES: Final = ("python", "javascript")
SCENARIOS: Final = {
    "text": "text",
    "system": "system prompt",
    "turns": "two turns",
    "stream": "stream",
    "tools": "tools",
    "structured": "structured output",
    "error": "error",
}
WORKS: Final = "works"
_REFUSED: Final = re.compile(r"refused: ([a-z_]+)")
_NO_SUCH_THING: Final = "-"


@frozen(kw_only=True)
class Result:
    """How one scenario of a client went.

    Attributes:
        api: what the client called: ``responses``, ``chat completions`` or ``conversations``.
        scenario: one of ``SCENARIOS``.
        outcome: ``works``, or ``refused: `` and the code of the error. Anything else is a failure.
    """

    client: str
    version: str
    api: str
    scenario: str
    outcome: str

    @property
    def refusal(self) -> str | None:
        """The code of the error, or None if the request was not refused."""
        found = _REFUSED.fullmatch(self.outcome)
        return found[1] if found else None

    @property
    def failed(self) -> bool:
        return self.outcome != WORKS and self.refusal is None


def results_in(lines: Iterable[str]) -> list[Result]:
    """The results that a program printed, among lines of the packages that it uses."""
    return [Result(**json.loads(line)) for line in lines if line.startswith('{"client"')]


def rows(results: Sequence[Result]) -> list[str]:
    """A line of the table for each client and API, sorted."""
    outcomes: dict[tuple[str, str, str], dict[str, str]] = {}
    for result in results:
        row = outcomes.setdefault((result.client, result.version, result.api), {})
        row[result.scenario] = f"refused: `{result.refusal}`" if result.refusal else result.outcome
    return sorted(
        (
            _line(
                f"`{client}`", version, api, *(row.get(name, _NO_SUCH_THING) for name in SCENARIOS)
            )
            for (client, version, api), row in outcomes.items()
        ),
        key=str.lower,
    )


def documented_rows(language: str, page: str, client: str | None = None) -> list[str]:
    """The lines of the table of this language, or those of one client."""
    table = _table(language).search(page)
    lines = table[2].splitlines() if table else []
    start = "| `" if client is None else f"| `{client}` |"
    return [line for line in lines if line.startswith(start)]


def with_table(language: str, page: str, results: Sequence[Result]) -> str:
    """The page with a new table for this language."""
    heads = ("client", "version", "API", *SCENARIOS.values())
    table = [_line(*heads), "|---" * len(heads) + "|", *rows(results)]
    lines = "".join(f"{line}\n" for line in table)
    return _table(language).sub(lambda found: f"{found[1]}{lines}{found[3]}", page)


def report(language: str, results: Sequence[Result], *, folder: Path) -> None:
    """Save results for the table."""
    name = re.sub(r"\W+", "-", f"{language} {results[0].client}")
    documents = [asdict(result) for result in results]
    (folder / f"{name}.json").write_text(json.dumps({"language": language, "results": documents}))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(language: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {language} clients -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def _run_suites(folder: str) -> None:
    environment = {
        **os.environ,
        FOLDER_VARIABLE: folder,
        "PRIVITY_TEST_CLIENTS": "required",
        "PRIVITY_TEST_NODE": "required",
    }
    suites = [suite for suite in SUITES if (ROOT / suite).exists()]
    # The other tests compare the tables that this script is about to write.
    command = [sys.executable, "-m", "pytest", "-n", "2", "-k", "works_as_the_table_says", *suites]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603 - our own suites


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _run_suites(folder)
        documents = [json.loads(path.read_text()) for path in Path(folder).iterdir()]
    page = PAGE.read_text("utf-8")
    for language in LANGUAGES:
        lists = [one["results"] for one in documents if one["language"] == language]
        if lists:
            page = with_table(language, page, [Result(**one) for each in lists for one in each])
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
