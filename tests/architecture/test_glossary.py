"""The glossary explains the words that the ports use, and no words that the code does not have."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.architecture.sources import FOLDERS, ROOT, parsed, python_files

TERM = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
PLAIN_WORDS = """
advice after answer append arguments as at authenticate background base before busy by call check
code consume content create credentials details down duration emit empty ended ensure error event
events exceeded exhausted failed failure field fields filtered final fn for found from has healthy
hold host id if in init invalid is issue last level limit load malformed many may monotonic most
name next not now open operation operator out output parameter port provider question read
reason reissued rejected remaining repeat request requests result retry run running self severity
shutting sleep status stop stored stream text timed too topic tuple type unavailable
unreachable unreadable update wait wake work
"""
PLAIN: Final = frozenset(PLAIN_WORDS.split())
"""Plain words of programming, which need no explanation."""


def terms(text: str) -> list[str]:
    return TERM.findall(text)


def words_of(name: str) -> list[str]:
    return [word.lower() for word in WORD.findall(name)]


def singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def declared_names(tree: ast.AST) -> Iterator[str]:
    """The names of classes, functions, parameters and fields."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.arg(arg=name) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def names_in(paths: Sequence[Path]) -> set[str]:
    return {name for path in paths for name in declared_names(parsed(path))}


def unexplained(names: set[str], listed: Sequence[str]) -> set[str]:
    """The words of ``names`` that are neither plain nor part of a listed term."""
    explained = {singular(word) for term in listed for word in term.split()}
    used = {word for name in names for word in words_of(name)}
    return {word for word in used - PLAIN if singular(word) not in explained}


def unused(names: set[str], listed: Sequence[str]) -> list[str]:
    """The listed terms that no name contains, word by word and side by side."""
    spelled = [" ".join(map(singular, words_of(name))) for name in names]
    return [
        term
        for term in listed
        if not any(" ".join(map(singular, term.split())) in name for name in spelled)
    ]


GLOSSARY = terms((ROOT / "docs/glossary.md").read_text("utf-8"))


def test_every_word_of_the_ports_is_in_the_glossary_or_plain() -> None:
    assert unexplained(names_in(python_files("ports")), GLOSSARY) == set()


def test_every_term_of_the_glossary_is_used_in_the_code() -> None:
    assert unused(names_in(python_files(*FOLDERS)), GLOSSARY) == []


def test_the_glossary_is_in_alphabetical_order_and_names_each_term_once() -> None:
    assert sorted(set(GLOSSARY)) == GLOSSARY
    assert len(GLOSSARY) > 50


def test_no_plain_word_is_explained_or_left_over() -> None:
    used = {word for name in names_in(python_files("ports")) for word in words_of(name)}

    assert used >= PLAIN
    assert PLAIN.isdisjoint(GLOSSARY)


def test_an_unexplained_word_is_found() -> None:
    assert unexplained({"TurnWizard", "client_keys"}, GLOSSARY) == {"wizard"}


def test_an_unused_term_is_found() -> None:
    assert unused({"ClientKeys"}, ["client key", "flux capacitor"]) == ["flux capacitor"]
