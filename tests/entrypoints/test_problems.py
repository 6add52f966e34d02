"""Every way to fail has a status and a document, and shows nothing of anybody else's words."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from starlette.exceptions import HTTPException

from domain.model.errors import DomainError, InvalidInput, TurnInProgress
from entrypoints.http.problems import (
    CODES_TO_RETRY,
    STATUS_BY_CODE,
    BadRequest,
    CrossSiteRequest,
    EdgeError,
    Problem,
    problem_of,
    problem_of_code,
)
from ports.errors import PortError, StoreUnavailable, TooManyRequests
from ports.language_model import ModelBusy

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "InvalidInput": ("message_empty", "Say something."),
    "TurnInProgress": ("t1",),
    "StoreUnavailable": ("load",),
    "TooManyRequests": (timedelta(seconds=90),),
    "EdgeError": ("bad_request", "Oh."),
    "BadRequest": ("body_not_json", "No JSON."),
}
OURS = ("domain", "ports", "entrypoints")


def family(root: type[Exception]) -> Iterator[type[Exception]]:
    if root.__module__.split(".")[0] in OURS:
        yield root
    for child in root.__subclasses__():
        yield from family(child)


def errors() -> list[Exception]:
    kinds = [kind for root in (DomainError, PortError, EdgeError) for kind in family(root)]
    # The bare root is never raised, and has no words.
    kinds.remove(DomainError)
    return [kind(*ARGUMENTS.get(kind.__name__, ())) for kind in kinds]


def headers_of(problem: Problem) -> dict[str, str]:
    return dict(problem.response().headers)


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_every_error_has_a_whole_document(error: Exception) -> None:
    answer = problem_of(error).response()

    document = msgspec.json.decode(bytes(answer.body))
    code = document["code"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.status_code == document["status"] == STATUS_BY_CODE[code]
    assert document["type"] == f"urn:privity:problem:{code}"
    assert document["title"]
    assert document["detail"] == str(error) != ""
    kind = "server_error" if answer.status_code >= 500 else "invalid_request_error"
    assert document["error"] == {
        "message": document["detail"],
        "type": kind,
        "code": code,
        "param": document.get("field"),
    }


@pytest.mark.parametrize(
    "error", [RuntimeError("planted"), ValueError("planted"), KeyError("planted")]
)
def test_nothing_of_an_error_that_is_not_ours_is_shown(error: Exception) -> None:
    answer = problem_of(error).response()

    assert answer.status_code == 500
    assert b"planted" not in bytes(answer.body)
    assert b'"code":"internal_error"' in bytes(answer.body)


def test_causes_are_not_shown() -> None:
    error = StoreUnavailable("planted operation")
    error.__cause__ = OSError("planted host")

    assert b"planted" not in bytes(problem_of(error).response().body)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_found"), (405, "method_not_allowed"), (400, "bad_request")]
)
def test_what_starlette_raises_gets_our_words(status: int, code: str) -> None:
    problem = problem_of(HTTPException(status, detail="planted"))

    assert (problem.status, problem.code) == (status, code)
    assert "planted" not in problem.detail


def test_the_offending_member_is_named() -> None:
    problem = problem_of(InvalidInput("message_empty", "Say something.", field="message"))

    document: Any = problem.document()
    assert document["code"] == "message_empty"
    assert (document["field"], document["error"]["param"]) == ("message", "message")


def test_a_problem_of_the_whole_request_names_no_member() -> None:
    assert "field" not in problem_of(BadRequest("body_not_json", "No JSON.")).document()


def test_a_turn_in_progress_is_named_and_not_to_be_retried_by_machines() -> None:
    problem = problem_of(TurnInProgress("t1"))

    assert problem.document()["turnId"] == "t1"
    assert headers_of(problem)["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (TooManyRequests(timedelta(seconds=90)), "90"),
        (TooManyRequests(timedelta(milliseconds=10)), "1"),
        (ModelBusy(timedelta(minutes=2)), "120"),
        (ModelBusy(), "2"),
        (StoreUnavailable("load"), "2"),
    ],
)
def test_who_may_come_back_is_told_when(error: Exception, seconds: str) -> None:
    assert headers_of(problem_of(error))["retry-after"] == seconds


@pytest.mark.parametrize("code", STATUS_BY_CODE)
def test_only_what_passes_is_to_be_retried(code: str) -> None:
    assert ("retry-after" in headers_of(problem_of_code(code))) is (code in CODES_TO_RETRY)


def test_who_is_not_recognised_is_told_how_to_be() -> None:
    assert headers_of(problem_of_code("client_key_invalid"))["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in headers_of(problem_of(CrossSiteRequest()))


@pytest.mark.parametrize(
    ("field", "member"),
    [
        ("session_id", "sessionId"),
        ("message_id", "messageId"),
        ("page_context", "context"),
        ("items", "input"),
        ("message", "message"),
        (None, None),
    ],
)
def test_a_field_of_the_domain_is_reported_as_the_member_of_the_request(
    field: str | None, member: str | None
) -> None:
    error = InvalidInput("message_id_malformed", "Why.", field=field)

    assert problem_of(error).field == member
