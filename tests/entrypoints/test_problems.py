"""Every way to fail has a status and a document, and repeats no text of users or libraries."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from starlette.exceptions import HTTPException

from domain.model.errors import DomainError, InvalidInput, TurnInProgress
from domain.model.rate_limits import DAY, MINUTE, Limit, Quota, Scope
from entrypoints.http.problems import (
    PROBLEM_TYPES,
    BadRequest,
    CrossSiteRequest,
    EdgeError,
    Problem,
    problem_of,
    problem_of_code,
)
from ports.errors import PortError, StoreUnavailable, TooManyRequests, limit_error
from ports.language_model import ModelBusy
from tests.support.builders import a_limit

A_LIMIT = a_limit(Quota.MESSAGES, 30, Scope.CLIENT_KEY, MINUTE)
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "InvalidInput": ("message_empty", "The message is empty."),
    "TurnInProgress": ("t1",),
    "StoreUnavailable": ("load",),
    "TooManyRequests": (A_LIMIT, 0, timedelta(seconds=90)),
    "BudgetExhausted": (A_LIMIT, 0, timedelta(seconds=90)),
    "EdgeError": ("bad_request", "Bad."),
    "TooManyAtOnce": ("transfers_unfinished",),
    "BadRequest": ("body_not_json", "Not JSON."),
}
OURS = ("domain", "ports", "entrypoints")


def family(root: type[Exception]) -> Iterator[type[Exception]]:
    if root.__module__.split(".")[0] in OURS:
        yield root
    for child in root.__subclasses__():
        yield from family(child)


def errors() -> list[Exception]:
    kinds = [kind for root in (DomainError, PortError, EdgeError) for kind in family(root)]
    # The bare root is never raised, and has no message.
    kinds.remove(DomainError)
    return [kind(*ARGUMENTS.get(kind.__name__, ())) for kind in kinds]


def headers_of(problem: Problem) -> dict[str, str]:
    return dict(problem.response().headers)


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_every_error_has_a_complete_document(error: Exception) -> None:
    answer = problem_of(error).response()

    document = msgspec.json.decode(bytes(answer.body))
    code = document["code"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.status_code == document["status"] == PROBLEM_TYPES[code].status
    assert document["type"] == f"urn:privity:problem:{code}"
    assert document["title"]
    specific = isinstance(error, InvalidInput | EdgeError)
    if code != "too_many_requests":  # Its detail names the limit.
        assert document["detail"] == (str(error) if specific else PROBLEM_TYPES[code].message)
    assert document["detail"] != ""
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
def test_an_unexpected_error_shows_nothing_of_itself(error: Exception) -> None:
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
def test_starlettes_exceptions_become_problems(status: int, code: str) -> None:
    problem = problem_of(HTTPException(status, detail="planted"))

    assert (problem.status, problem.code) == (status, code)
    assert "planted" not in problem.detail


def test_the_offending_member_is_named() -> None:
    problem = problem_of(InvalidInput("message_empty", "The message is empty.", field="message"))

    document: Any = problem.document()
    assert document["code"] == "message_empty"
    assert (document["field"], document["error"]["param"]) == ("message", "message")


def test_a_problem_of_the_whole_request_names_no_member() -> None:
    assert "field" not in problem_of(BadRequest("body_not_json", "Not JSON.")).document()


def test_turn_in_progress_names_the_turn_and_is_not_retried_automatically() -> None:
    problem = problem_of(TurnInProgress("t1"))

    assert problem.document()["turnId"] == "t1"
    assert headers_of(problem)["x-should-retry"] == "false"


def test_a_turn_that_has_fallen_silent_can_be_retried() -> None:
    error = TurnInProgress("t1")
    error.retry_after = timedelta(seconds=9.5)

    headers = headers_of(problem_of(error))

    assert headers["retry-after"] == "10"
    assert "x-should-retry" not in headers


def too_many(retry_after: timedelta, limit: Limit = A_LIMIT) -> TooManyRequests:
    return limit_error(limit, remaining=3, retry_after=retry_after)


@pytest.mark.parametrize(
    ("limit", "policy", "state", "detail"),
    [
        (
            A_LIMIT,
            '"messages-client-key";q=30;w=60',
            '"messages-client-key";r=3;t=7',
            "limit of 30 messages per minute per client key",
        ),
        (
            a_limit(Quota.STORED_BYTES, 4_000_000),
            '"stored-bytes-address";q=4000000;w=3600;qu="content-bytes"',
            '"stored-bytes-address";r=3;t=7',
            "limit of 4,000,000 stored bytes per hour per address",
        ),
        (
            a_limit(Quota.OPEN_TURNS, 4, Scope.CLIENT_KEY, None),
            '"open-turns-client-key";q=4;qu="concurrent-requests"',
            '"open-turns-client-key";r=3;t=7',
            "limit of 4 replies being written at once per client key",
        ),
    ],
)
def test_a_limit_that_is_reached_is_named(
    limit: Limit, policy: str, state: str, detail: str
) -> None:
    problem = problem_of(too_many(timedelta(seconds=6.5), limit))

    headers = headers_of(problem)
    assert (problem.status, problem.detail) == (
        429,
        f"The {detail} is reached; please try again later.",
    )
    assert (headers["ratelimit-policy"], headers["ratelimit"]) == (policy, state)
    assert headers["retry-after"] == "7"


def test_a_used_up_daily_budget_does_not_show_its_size() -> None:
    limit = a_limit(Quota.TOKENS, 50_000_000, Scope.TOTAL, DAY)
    problem = problem_of(too_many(timedelta(hours=2), limit))

    headers = headers_of(problem)
    assert (problem.status, problem.code) == (503, "budget_exhausted")
    assert headers["retry-after"] == "7200"
    assert "50" not in problem.detail
    assert "ratelimit-policy" not in headers


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (too_many(timedelta(seconds=90)), "90"),
        (too_many(timedelta(milliseconds=10)), "1"),
        (too_many(timedelta(milliseconds=1_010)), "2"),
        (ModelBusy(timedelta(minutes=2)), "120"),
        (ModelBusy(), "2"),
        (StoreUnavailable("load"), "2"),
    ],
)
def test_retry_after_says_when_to_retry(error: Exception, seconds: str) -> None:
    assert headers_of(problem_of(error))["retry-after"] == seconds


@pytest.mark.parametrize("code", PROBLEM_TYPES)
def test_only_temporary_problems_have_retry_after(code: str) -> None:
    assert ("retry-after" in headers_of(problem_of_code(code))) is PROBLEM_TYPES[code].can_retry


def test_an_invalid_client_key_gets_www_authenticate() -> None:
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
