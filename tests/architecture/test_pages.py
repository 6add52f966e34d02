"""The documentation is consistent: links work, decisions have a status, commands are marked."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.architecture.sources import PYPROJECT, ROOT, own_files, short

LINK = re.compile(r"\]\(([^)\s]+)\)")
IN_CODE = re.compile(r"`([\w.-]+(?:/[\w.-]+)+/?)`")
MARKED = re.compile(r"<!-- (\w+) -->\n```sh\n(.+?)```\n<!-- end -->", re.DOTALL)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INDEXED = re.compile(r"^- \[(\d{4}) [^]]+\]\(([\w.-]+)\)", re.MULTILINE)
STATUS = re.compile(r"^- Status: (.+)$", re.MULTILINE)
# Concatenated, so that this file does not match itself.
PLACES = ["/wo" + "rk/", "/fa" + "rm/", ".libr" + "ary", "shared/" + "hooks"]

PAGES = [path for path in own_files() if path.suffix == ".md"]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def dead_links(text: str, folder: Path) -> list[str]:
    links = [link for link in LINK.findall(text) if "://" not in link]
    return [link for link in links if not _exists(link, text, folder)]


def _exists(link: str, text: str, folder: Path) -> bool:
    target, _, anchor = link.partition("#")
    if target:
        return (folder / target).exists()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", words).lower().replace(" ", "-") for words in headings}


def missing_paths(text: str) -> list[str]:
    """Paths in code that start with a folder of the project and do not exist."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    paths = [
        path for path in IN_CODE.findall(FENCED.sub("", text)) if path.split("/")[0] in folders
    ]
    return [path for path in paths if not (ROOT / path).exists()]


def marked_commands(text: str) -> dict[str, str]:
    return {name: command.strip() for name, command in MARKED.findall(text)}


def places_in(paths: Sequence[Path]) -> dict[str, list[str]]:
    found = {}
    for path in paths:
        text = path.read_bytes().decode("utf-8", "replace")
        if places := [place for place in PLACES if place in text]:
            found[short(path)] = places
    return found


@pytest.mark.parametrize("path", PAGES, ids=short)
def test_every_link_has_a_target(path: Path) -> None:
    assert dead_links(path.read_text("utf-8"), path.parent) == []


@pytest.mark.parametrize("path", PAGES, ids=short)
def test_every_path_on_a_page_exists(path: Path) -> None:
    assert missing_paths(path.read_text("utf-8")) == []


def test_dead_links_and_missing_paths_are_found() -> None:
    text = (
        "# Here\n[a](#here) [b](#there) [c](docs/gone.md) [d](https://e.org) `ports/gone.py` `a/b`"
    )

    assert dead_links(text, ROOT) == ["#there", "docs/gone.md"]
    assert missing_paths(text) == ["ports/gone.py"]


def test_the_tables_of_the_index_list_every_page_once() -> None:
    folder = ROOT / "docs"
    tables = [
        line for line in (folder / "README.md").read_text("utf-8").splitlines() if line[:2] == "| "
    ]
    listed = [link for line in tables for link in re.findall(r"^\| \[[\w.]+\]\((\S+)\)", line)]
    pages = [path.name for path in folder.glob("*.md") if path.name != "README.md"]
    folders = [f"{path.name}/README.md" for path in folder.iterdir() if path.is_dir()]

    assert sorted(listed) == sorted([*pages, *folders])


def test_the_index_lists_exactly_the_decisions() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    listed = INDEXED.findall(index)

    assert [name for _, name in listed] == [path.name for path in DECISIONS]
    assert [int(number) for number, _ in listed] == [*range(1, len(DECISIONS) + 1)]


@pytest.mark.parametrize("path", DECISIONS, ids=short)
def test_every_decision_has_a_final_status(path: Path) -> None:
    [status] = STATUS.findall(path.read_text("utf-8"))

    assert status == "Accepted" or re.fullmatch(r"Superseded by \d{4}", status)


def test_the_readme_has_its_marked_commands() -> None:
    marked = marked_commands((ROOT / "README.md").read_text("utf-8"))

    assert {"run", "session", "tests"} <= set(marked)
    assert "privity serve" in marked["run"]
    assert "pytest" in marked["tests"]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/testing.md"])
def test_other_pages_have_the_same_test_command(page: str) -> None:
    marked = marked_commands((ROOT / "README.md").read_text("utf-8"))

    assert marked["tests"] in (ROOT / page).read_text("utf-8")


@pytest.mark.parametrize("name", ["run", "tests", "uv", "pipx"])
def test_a_command_that_installs_is_one_line_and_shows_its_progress(name: str) -> None:
    command = marked_commands((ROOT / "README.md").read_text("utf-8"))[name]

    assert "\n" not in command
    assert not re.search(r" (-q|--quiet)\b", command)


def test_a_marker_without_a_command_is_not_a_command() -> None:
    assert marked_commands("<!-- run -->\n\n<!-- end -->\n") == {}


def test_the_changelog_starts_with_this_version_or_the_next() -> None:
    headings = re.findall(
        r"^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )

    assert headings[0] in ("Unreleased", PYPROJECT["project"]["version"])


def test_no_file_names_the_workplace() -> None:
    assert places_in([*own_files()]) == {}


@pytest.mark.parametrize("place", PLACES)
def test_a_name_of_the_workplace_is_found(place: str, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text(f"see {place}x")

    assert places_in([path]) == {"note.txt": [place]}


def test_every_test_that_the_testing_page_names_exists() -> None:
    page = (ROOT / "docs" / "testing.md").read_text("utf-8")
    table = page.partition("## How long it takes")[2]
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"^\| `(test_\w+)`", table, re.MULTILINE)

    assert len(named) == 20
    assert [name for name in named if f"def {name}(" not in sources] == []
