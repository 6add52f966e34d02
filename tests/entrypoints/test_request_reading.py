"""What is read from a request: headers, parameters and the address."""

import os

import pytest
from starlette.requests import Request

from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from domain.model.errors import InvalidInput
from entrypoints.http.authentication import Authenticator
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import page_query, preferred_locales, query_session, wants_json
from tests.support.builders import ID

PEER = "192.0.2.9"


def a_request(query: str = "", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "headers": raw, "query_string": query.encode(), "client": (PEER, 1)}
    return Request({**scope, "state": {}})


def an_authenticator(proxies: int) -> Authenticator:
    keys = SealedClientKeys(ring=KeyRing.random(os.urandom), random_bytes=os.urandom)
    return Authenticator(
        keys=keys, public_origin=None, embedding_origins=frozenset(), proxies=proxies
    )


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("Application/JSON, text/plain", True),
        ("application/json, text/event-stream", False),
        ("text/event-stream", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_json_is_sent_only_if_no_stream_is_accepted(accept: str, *, is_json: bool) -> None:
    assert wants_json(a_request(accept=accept)) is is_json


@pytest.mark.parametrize(
    ("header", "locales"),
    [
        ("fi", ["fi"]),
        ("en;q=0.5, fi, sv;q=0.8", ["fi", "sv", "en"]),
        ("*, en;q=0, sv;q=oh, fi;q=0.1", ["fi"]),
        ("", []),
        (",".join(["fi"] * 100), ["fi"] * 16),
        ("-".join(["a"] * 60_000) + ",sv", ["sv"]),
        ("a-b-c-d-e-f-g-h-i, " + "a" * 36 + ", fi;q=" + "0" * 60_000, []),
    ],
)
def test_a_first_message_prefers_the_browsers_languages(header: str, locales: list[str]) -> None:
    request = a_request(accept_language=header)

    assert list(preferred_locales(request, None, is_first=True)) == locales
    assert list(preferred_locales(request, None, is_first=False)) == []


def test_an_explicit_language_comes_before_the_browsers() -> None:
    request = a_request(accept_language="fi")
    request.state.locale = "sv"

    assert list(preferred_locales(request, "de", is_first=True)) == ["de", "sv"]
    assert list(preferred_locales(request, None, is_first=False)) == ["sv"]


@pytest.mark.parametrize(
    ("query", "page"),
    [("", (None, 100)), ("before=7&limit=500", (7, 500)), (f"before={2**53}", (2**53, 100))],
)
def test_paging_parameters_are_parsed(query: str, page: tuple[int | None, int]) -> None:
    assert page_query(a_request(query)) == page


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=ten",
        "limit=",
        "before=0",
        "before=1.5",
        "before=%D9%A3",
        f"before={2**53 + 1}",
        "before=" + "9" * 5_000,
    ],
)
def test_an_invalid_paging_parameter_is_named(query: str) -> None:
    with pytest.raises(InvalidInput) as error:
        page_query(a_request(query))

    assert error.value.field == query.partition("=")[0]


def test_the_query_holds_the_session_id() -> None:
    assert query_session(a_request(f"sessionId={ID}")) == ID
    with pytest.raises(BadRequest) as missing:
        query_session(a_request("sessionId="))
    with pytest.raises(InvalidInput) as malformed:
        query_session(a_request("sessionId=x"))

    assert missing.value.code == "session_id_missing"
    assert malformed.value.problem == "session_id_malformed"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "198.51.100.1", PEER),
        (1, "", PEER),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "203.0.113.1, 198.51.100.1", "198.51.100.1"),
        (2, "203.0.113.1, 198.51.100.1, 198.51.100.2", "198.51.100.1"),
        (2, "198.51.100.1", PEER),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "not an address", PEER),
        (1, "198.51.100.1:1234", "198.51.100.1"),
        (1, "[2001:db8::1]:1234", "2001:db8::1"),
        (1, "2001:db8::1:1234", "2001:db8::1:1234"),
        (1, "198.51.100.1:", PEER),
        (1, "not an address:1234", PEER),
    ],
)
def test_only_trusted_proxies_are_believed(proxies: int, forwarded: str, address: str) -> None:
    assert an_authenticator(proxies).address(a_request(x_forwarded_for=forwarded)) == address


@pytest.mark.parametrize(
    ("one", "another", "is_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, another: str, *, is_same: bool) -> None:
    authenticator = an_authenticator(1)
    payers = {
        authenticator.payer(a_request(x_forwarded_for=address), None).address
        for address in (one, another)
    }

    assert len(payers) == (1 if is_same else 2)
    assert not payers & {one, another}
