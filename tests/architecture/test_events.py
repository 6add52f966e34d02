"""The code emits only declared events, and docs/events.md lists each with its level and fields."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from attrs import fields, frozen

from domain.model.turn import Outcome
from entrypoints.http.app import REFUSALS
from entrypoints.http.problems import PROBLEM_TYPES
from ports.language_model import FailureDetails
from ports.telemetry import EVENTS, EventType
from tests.architecture.sources import FOLDERS, ROOT, functions, parsed, python_files, short
from tests.architecture.test_docs import page, rows

IN_CODE: Final = re.compile(r"`([^`]+)`(\*?)")
PASSING_ON: Final = ("adapters/observability/", "ports/telemetry.py")
"""Where events of others are passed on."""

DETAILS: Final = "asdict(details.failure, filter=lambda _, value: value is not None)"
CAUSES: Final = ROOT / "adapters/encrypted_redis/connection_causes.py"
DOCUMENT: Final = page("docs/events.md")
OUTCOMES: Final = frozenset(f"turn.{outcome.value}" for outcome in Outcome)


@frozen
class Emission:
    """A call in the code, with the events that it may emit."""

    place: str
    events: frozenset[str]
    fields: frozenset[str]


def emissions(path: Path) -> Iterator[Emission]:
    tree = parsed(path)
    for call in calls_of(tree, "emit"):
        yield Emission(short(path), events_of(call), fields_of(call))
    for call in calls_of(tree, "report_end"):
        yield Emission(short(path), OUTCOMES, fields_of(call))


def calls_of(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=attr)) if attr == name:
                yield node


def events_of(call: ast.Call) -> frozenset[str]:
    match call.args[0]:
        case ast.Constant(value=str(name)):
            return frozenset({name})
        case ast.JoinedStr(values=[ast.Constant(value="turn."), ast.FormattedValue()]):
            return OUTCOMES
        case other:
            return frozenset({f"not a literal: {ast.unparse(other)}"})


def fields_of(call: ast.Call) -> frozenset[str]:
    """The names of the fields; those that ``report_end`` passes on are checked at its callers."""
    passed_on = ("fields", "_counts(end.prompt_report)", DETAILS)
    return frozenset(
        keyword.arg or f"**{ast.unparse(keyword.value)}"
        for keyword in call.keywords
        if keyword.arg or ast.unparse(keyword.value) not in passed_on
    )


ALL: Final = [
    emission
    for path in python_files(*FOLDERS)
    if not short(path).startswith(PASSING_ON)
    for emission in emissions(path)
]


def undeclared(found: Emission) -> set[str]:
    """The events and fields that ``EVENTS`` does not have."""
    events = {event for event in found.events if event not in EVENTS}
    declared = [EVENTS[event].fields for event in found.events - events]
    return events | {field for names in declared for field in found.fields - names}


def logged(names: frozenset[str]) -> set[str]:
    """The names of fields as they appear in the log."""
    return {"session" if name == "session_id" else name for name in names}


def documented(text: str) -> dict[str, tuple[str, dict[str, bool]]]:
    """The level of each event, and its fields with whether they make a group."""
    reply = re.search(r"The fields of a reply are (.+?)\.", text, re.DOTALL)
    assert reply is not None
    table = {}
    for row in rows(text):
        if "." not in row[0]:
            continue
        name, level, cell = row[:3]
        cell = cell.replace("those of a reply", reply[1])
        table[name.strip("`")] = (level, {name: bool(star) for name, star in IN_CODE.findall(cell)})
    return table


def described(declared: EventType) -> tuple[str, dict[str, bool]]:
    names = {name: name in declared.grouped_by for name in logged(declared.fields)}
    return declared.severity.value, names


@pytest.mark.parametrize("emission", ALL, ids=lambda found: f"{found.place}-{min(found.events)}")
def test_only_declared_events_and_fields_are_emitted(emission: Emission) -> None:
    assert undeclared(emission) == set()


@pytest.mark.parametrize("event", sorted(OUTCOMES))
def test_the_end_of_a_turn_has_the_details_of_a_failure(event: str) -> None:
    assert {field.name for field in fields(FailureDetails)} < EVENTS[event].fields


def test_every_declared_event_is_emitted() -> None:
    assert {event for emission in ALL for event in emission.events} == set(EVENTS)


def test_every_event_is_documented_with_its_level_and_fields() -> None:
    assert documented(DOCUMENT) == {name: described(kind) for name, kind in EVENTS.items()}


def test_every_field_is_explained_once() -> None:
    explained = [row[0].strip("`") for row in rows(DOCUMENT, under="Fields")]
    used = {name for kind in EVENTS.values() for name in logged(kind.fields)}

    assert explained == sorted(used)


def test_exactly_the_reasons_of_an_outage_are_explained() -> None:
    section = DOCUMENT.partition("### Reasons\n")[2].partition("\n## ")[0]
    explained = [name for row in rows(section) for name, _ in IN_CODE.findall(row[0])]
    causes = [
        call.args[0]
        for call in ast.walk(parsed(CAUSES))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Cause"
    ]

    assert len(causes) > 20
    assert set(explained) == {cause.value for cause in causes if isinstance(cause, ast.Constant)}


def test_exactly_the_codes_of_refusals_are_explained() -> None:
    table = DOCUMENT.partition("| code of `request.refused` |")[2].partition("\n## ")[0]
    explained = [name for row in rows(table) for name, _ in IN_CODE.findall(row[0])]

    assert sorted(explained) == sorted(REFUSALS)
    assert PROBLEM_TYPES.keys() >= REFUSALS


def test_the_example_is_a_line_of_the_log() -> None:
    match = re.search(r"^    \{.+?\}$", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert match is not None
    line = json.loads(match[0])
    kind = EVENTS[line["event"]]

    assert line["level"] == kind.severity.value
    assert line.keys() - logged(kind.fields) == {"event", "level", "timestamp"}


def test_an_event_that_nobody_declared_is_found() -> None:
    tree = 'log.emit("turn.finished", text="x")\nlog.emit(f"{name}")\nlog.emit("a.b", **more)'
    found = [
        Emission("", events_of(call), fields_of(call)) for call in calls_of(ast.parse(tree), "emit")
    ]

    assert [undeclared(emission) for emission in found] == [
        {"text"},
        {"not a literal: f'{name}'"},
        {"a.b"},
    ]


def test_no_function_of_the_service_passes_undeclared_fields_on() -> None:
    passing = [
        f"{short(path)}:{function.name}"
        for path in python_files(*FOLDERS)
        if not short(path).startswith(PASSING_ON)
        for function in functions(parsed(path))
        if any(
            keyword.arg is None for call in calls_of(function, "emit") for keyword in call.keywords
        )
    ]

    assert passing == ["entrypoints/usecases/stream_reply.py:report_end"]
