"""The chat page stays small and safe, and is complete in every language."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import pytest

from adapters.assistant_profile.toml_file import NEUTRAL
from domain.model.limits import MessageLimit
from entrypoints.http.page.assets import chat_page, condensed
from tests.architecture.sources import ROOT
from tests.architecture.test_shape import MAX_FILE_LINES, long_files

PAGE: Final = chat_page(NEUTRAL, MessageLimit())
FOLDER: Final = ROOT / "entrypoints" / "http" / "page"
MAX_BYTES: Final = 64_000
MODULES: Final = sorted(FOLDER.glob("*.js"))
TABLES: Final = {
    path.name.split(".")[1]: json.loads(path.read_text("utf-8"))
    for path in sorted(FOLDER.glob("words.*.json"))
}
MARKUP: Final = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|createContextualFragment"
    r"|\beval\b|new Function|javascript:|setTimeout\(\s*[\"'`]"
)
STORAGE: Final = re.compile(r"\b(?:localStorage|sessionStorage|indexedDB|caches|cookie)\b")
IMPORT: Final = re.compile(r"^import .*from \"(.+)\";$", re.MULTILINE)
RTL: Final = {"ar", "fa", "he", "ur"}


def flat(table: Mapping[str, Any]) -> dict[str, str]:
    """Every text by its name, including those in ``problems``."""
    problems = {f"problems.{name}": text for name, text in table["problems"].items()}
    return {**{name: text for name, text in table.items() if name != "problems"}, **problems}


def placeholders(table: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: re.findall(r"\{\w+\}", text) for name, text in flat(table).items()}


def used_words() -> set[str]:
    code = "\n".join(path.read_text("utf-8") for path in MODULES)
    return set(re.findall(r"\bwords\.(\w+)", code))


def loaded_bytes(tag: str) -> int:
    """The bytes that a visit to the page loads in this language."""
    not_loaded = {"widget.js", "tools.js", "chat.css"}
    loaded = [name for name in PAGE.files if not name.endswith(".json") and name not in not_loaded]
    files = sum(len(PAGE.files[name].content) for name in loaded)
    return len(PAGE.documents[tag].encode()) + files


def test_visitors_load_neither_comments_nor_indentation() -> None:
    script = (
        b"/* One\n   comment. */\n\nf();\n  // Another.\n  g(); // Kept.\n/** A third. */\nh();\n"
    )

    assert condensed(script) == b"f();\ng(); // Kept.\nh();\n"
    for path in MODULES:
        source, served = path.read_bytes(), PAGE.files[path.name].content
        assert re.findall(rb"^ *([\w}].*)", source, re.MULTILINE)[-1] in served
        assert b"/*" not in served


@pytest.mark.parametrize("tag", TABLES)
def test_a_visit_loads_less_than_64_kb_in_every_language(tag: str) -> None:
    assert loaded_bytes(tag) < MAX_BYTES


def test_no_file_of_the_page_is_longer_than_400_lines() -> None:
    assert long_files([path for path in FOLDER.iterdir() if path.is_file()], MAX_FILE_LINES) == {}


def test_nothing_in_the_page_turns_text_into_markup_or_code() -> None:
    found = {path.name: MARKUP.findall(path.read_text("utf-8")) for path in MODULES}

    assert {name: found for name, found in found.items() if found} == {}


@pytest.mark.parametrize("planted", ["a.innerHTML = b", "eval(x)", 'setTimeout("x()")'])
def test_code_that_turns_text_into_markup_or_code_is_found(planted: str) -> None:
    assert MARKUP.search(planted)


def test_only_one_module_uses_the_storage_of_the_browser() -> None:
    found = [path.name for path in MODULES if STORAGE.search(path.read_text("utf-8"))]

    assert found == ["tabs.js"]


def test_modules_import_only_files_that_are_served() -> None:
    names = {name for path in MODULES for name in IMPORT.findall(path.read_text("utf-8"))}

    assert names
    assert {name.removeprefix("./") for name in names} <= set(PAGE.files)


def test_every_language_is_served_and_listed() -> None:
    assert json.loads(PAGE.files["languages.json"].content) == [*TABLES]
    assert {"en", "fi", "sv", "ar"} <= set(TABLES)


@pytest.mark.parametrize("tag", TABLES)
def test_every_language_has_every_text_and_placeholder(tag: str) -> None:
    assert placeholders(TABLES[tag]) == placeholders(TABLES["en"])
    assert all(text.strip() for text in flat(TABLES[tag]).values())
    assert TABLES[tag]["direction"] == ("rtl" if tag in RTL else "ltr")


def test_a_missing_text_and_a_lost_placeholder_are_found() -> None:
    complete = {"a": "in {time}", "problems": {"b": "No."}}

    assert placeholders(complete) != placeholders({"problems": {"b": "No."}})
    assert placeholders(complete) != placeholders({"a": "soon", "problems": {"b": "No."}})


def test_every_text_the_page_uses_is_in_the_tables_and_none_is_unused() -> None:
    computed = {"tag", "welcome", "messageCharacters", "duration", "problem", "direction", "js"}
    # Looked up by how a message ended.
    by_ending = {"interrupted", "failed", "cut", "onlyThought", "filtered", "noText"}
    texts = set(TABLES["en"]) - {"direction", "problems"}

    assert used_words() - computed == texts - by_ending
