"""Every error has a code of its own, every code a status, and the drawn trees match the classes."""

import ast
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from types import ModuleType

import pytest

from domain.model.errors import DomainError, InvalidInput
from entrypoints.http.problems import (
    PROBLEM_TYPES,
    EdgeError,
    problem_of,
    problem_of_code,
    user_message,
)
from ports.errors import PortError
from ports.language_model import ModelError
from ports.turn_hook import HookError
from tests.architecture.sources import FOLDERS, module_name, parsed, python_files

TREES = {
    "domain.model.errors": DomainError,
    "ports.errors": PortError,
    "ports.language_model": ModelError,
    "ports.turn_hook": HookError,
    "entrypoints.http.problems": EdgeError,
}
CODE_FIRST = {"InvalidInput", "BadRequest", "EdgeError", "TooManyAtOnce", "problem_of_code"}
CODE_NAMED = {"code", "error"}
DRAWN = re.compile(r"^ *[├└]── (\w+)", re.MULTILINE)
CODE = re.compile(r"[a-z]+(_[a-z]+)+")

for _path in python_files(*FOLDERS):
    importlib.import_module(module_name(_path))  # Imported, so that no subclass is missed.


def family(root: type[Exception]) -> Iterator[type[Exception]]:
    """``root`` and all below it, except classes that other tests define."""
    yield root
    for child in root.__subclasses__():
        if child.__module__.split(".")[0] in FOLDERS:
            yield from family(child)


def errors_with_codes() -> list[type[DomainError | PortError]]:
    return [kind for root in (DomainError, PortError) for kind in family(root)]  # type: ignore[misc]


def shared_codes(kinds: Sequence[type[DomainError | PortError]]) -> dict[str, list[str]]:
    count = Counter(kind.code for kind in kinds)
    return {
        code: [kind.__name__ for kind in kinds if kind.code == code]
        for code, times in count.items()
        if times > 1
    }


def drawn_children(module: ModuleType) -> list[str]:
    return DRAWN.findall(module.__doc__ or "")


def named_codes(tree: ast.AST) -> Iterator[str]:
    """The codes that calls in ``tree`` name: as their first argument, or as code= or error=."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        named = [word.value for word in node.keywords if word.arg in CODE_NAMED]
        function = ast.unparse(node.func)
        first = node.args[:1] if function in CODE_FIRST or "__init__" in function else []
        for value in (*first, *named):
            if isinstance(value, ast.Constant) and CODE.fullmatch(str(value.value)):
                yield str(value.value)


def codes_in_use() -> set[str]:
    trees = [parsed(path) for path in python_files(*FOLDERS)]
    return {kind.code for kind in errors_with_codes()} | {
        code for tree in trees for code in named_codes(tree)
    }


def test_every_error_has_its_own_code() -> None:
    assert shared_codes(errors_with_codes()) == {}


def test_an_error_without_its_own_code_is_found() -> None:
    class Silent(DomainError):
        pass

    assert shared_codes([DomainError, Silent]) == {"domain_error": ["DomainError", "Silent"]}


def test_every_code_in_use_has_a_problem_type_and_no_problem_type_is_unused() -> None:
    assert codes_in_use() == set(PROBLEM_TYPES)


@pytest.mark.parametrize(
    "planted",
    [
        'raise InvalidInput("made_up", "Why.")',
        'raise BadRequest("made_up", "Why.", field="x")',
        'super().__init__("made_up", "Why.")',
        'TurnEnd(outcome=Outcome.FAILED, error="made_up")',
        'Problem(code="made_up", detail="Why.")',
    ],
)
def test_a_code_is_found_wherever_it_is_written(planted: str) -> None:
    assert [*named_codes(ast.parse(planted))] == ["made_up"]


def test_every_status_is_an_error_status() -> None:
    statuses = {problem_type.status for problem_type in PROBLEM_TYPES.values()}

    assert {status for status in statuses if not 400 <= status <= 504} == set()


def test_only_a_busy_service_can_be_retried() -> None:
    retryable = [problem_type for problem_type in PROBLEM_TYPES.values() if problem_type.can_retry]

    assert {problem_type.status for problem_type in retryable} == {429, 503}


@pytest.mark.parametrize("code", PROBLEM_TYPES)
def test_every_code_has_one_sentence_in_documents_and_streams(code: str) -> None:
    document = problem_of_code(code).document()

    assert (document["code"], document["status"]) == (code, PROBLEM_TYPES[code].status)
    assert document["detail"] == user_message(code) == PROBLEM_TYPES[code].message
    assert re.fullmatch(r"[A-Z][^\n]*\.", user_message(code))


def test_no_two_codes_share_a_sentence() -> None:
    messages = Counter(problem_type.message for problem_type in PROBLEM_TYPES.values())

    assert [message for message, times in messages.items() if times > 1] == []


def test_an_unknown_code_still_has_a_sentence() -> None:
    assert user_message("of_another_release") == "The reply failed."


def test_invalid_input_has_the_code_of_the_broken_rule() -> None:
    assert problem_of(InvalidInput("message_empty", "The message is empty.")).status == 400


@pytest.mark.parametrize("module", TREES)
def test_the_drawn_tree_is_the_tree_of_classes(module: str) -> None:
    _, *children = family(TREES[module])
    direct = [kind.__name__ for kind in children if TREES[module] in kind.__bases__]

    assert sorted(drawn_children(importlib.import_module(module))) == sorted(direct)


@pytest.mark.parametrize("module", TREES)
def test_the_drawn_tree_begins_with_its_root(module: str) -> None:
    text = importlib.import_module(module).__doc__ or ""
    first = text[: text.index("├──")].strip().splitlines()[-1].split()[0]

    assert first == TREES[module].__name__


def test_a_class_missing_from_its_drawing_is_found() -> None:
    module = ModuleType("planted", "Errors.\n\n    Root\n    ├── One   first\n    └── Two   last\n")

    assert drawn_children(module) == ["One", "Two"]


@pytest.mark.parametrize("kind", errors_with_codes(), ids=lambda kind: kind.__name__)
def test_every_error_has_its_own_docstring(kind: type[Exception]) -> None:
    assert inspect.getdoc(kind) != inspect.getdoc(kind.__bases__[0])
