"""``privity chat`` against a server that sends the responses of the test."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from entrypoints.cli.chat_client import ChatError, open_client
from entrypoints.cli.terminal import printable
from entrypoints.http.sse import DONE, HEARTBEAT_INTERVAL, event
from tests.support.chat_backend import (
    FAILED,
    HELP,
    REPLY,
    RESTARTED,
    SESSION,
    STOPPED,
    Backend,
    Lost,
    terminal_of,
)
from tests.support.processes import run_cli


async def test_lines_become_messages_of_one_conversation() -> None:
    backend = Backend(SESSION + REPLY, SESSION + REPLY)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One", "", "Two")

    assert backend.requests == [
        ("POST", "/api/chat", {"message": "One"}),
        ("POST", "/api/chat", {"message": "Two", "sessionId": "s1"}),
    ]
    assert backend.authorization == {"Bearer ck_key"}
    assert shown == "Hi!\nHi!\n"


async def test_the_terminal_follows_the_server_into_a_new_conversation() -> None:
    backend = Backend(SESSION + REPLY, RESTARTED + REPLY, RESTARTED + REPLY)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One", "Two", "Three")

    assert backend.requests[2] == ("POST", "/api/chat", {"message": "Three", "sessionId": "s2"})
    assert "(The conversation no longer exists. This is a new one.)" in shown


async def test_new_starts_another_conversation_and_again_regenerates_the_reply() -> None:
    backend = Backend(SESSION + REPLY, SESSION + REPLY, SESSION + REPLY)

    async with terminal_of(backend) as type_lines:
        await type_lines("One", "/again", "/new", "Two")

    assert backend.requests[1:] == [
        ("POST", "/api/chat/s1/regenerate", {}),
        ("POST", "/api/chat", {"message": "Two"}),
    ]


async def test_forget_deletes_the_conversation_on_the_server() -> None:
    backend = Backend(SESSION + REPLY, b"")

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("/forget", "One", "/forget", "/again")

    assert backend.requests[1:] == [("DELETE", "/api/chat/s1", None)]
    assert shown.count("(Forgotten.)") == 2


async def test_an_unknown_command_shows_the_commands() -> None:
    backend = Backend()

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("/help", "/nope", "/again")

    assert shown.count(HELP) == 2
    assert shown.count("(There is no such command.)") == 1
    assert shown.endswith("(There is no reply yet.)\n")
    assert backend.requests == []


async def test_a_person_gets_the_welcome_in_the_language_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LC_ALL", "")
    monkeypatch.setenv("LANG", "fi_FI.UTF-8@euro")
    backend = Backend(SESSION + REPLY)

    async with terminal_of(backend, is_interactive=True) as type_lines:
        shown = await type_lines("One", "/new")

    assert shown.startswith(HELP)
    assert shown.count("\n\nHei, fi-FI!\n") == 2
    assert [request[1:] for request in backend.requests] == [
        ("/api/sessions", {}),
        ("/api/chat", {"message": "One", "sessionId": "s0"}),
        ("/api/sessions", {}),
    ]


async def test_a_problem_is_shown_and_the_conversation_continues() -> None:
    backend = Backend(SESSION + REPLY, (400, "Too long."), SESSION + REPLY)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One", "x", "Two")

    assert shown == "Hi!\n(Too long.)\nHi!\n"
    assert backend.requests[2][2] == {"message": "Two", "sessionId": "s1"}


async def test_a_full_conversation_is_continued_in_a_new_one() -> None:
    backend = Backend(SESSION + REPLY, (413, "Full."), REPLY)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("/go-on", "One", "Two", "/go-on", "Two")

    assert shown == (
        "(There is no conversation to continue.)\n"
        "Hi!\n"
        "(This conversation is full. /go-on continues it in a new one.)\n"
        "(This new conversation continues the previous one.)\n"
        "Hi!\n"
    )
    assert backend.requests[2:] == [
        ("POST", "/api/sessions", {"continues": "s1"}),
        ("POST", "/api/chat", {"message": "Two", "sessionId": "s0"}),
    ]


async def test_a_failed_and_a_stopped_reply_are_marked() -> None:
    backend = Backend(Lost(SESSION + FAILED), SESSION + STOPPED)

    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One", "Two")

    assert shown == "(The model is busy.)\nHalf (stopped)\n"


@pytest.mark.parametrize(
    "code", [0, 7, 8, 0x1B, 0x7F, 0x80, 0x9B, 0x9F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
def test_a_control_character_is_shown_by_its_number(code: int) -> None:
    assert printable(f"a{chr(code)}b") == f"a<U+{code:04X}>b"


@pytest.mark.parametrize(
    "text", ["a\tb\n", "häivä", "مرحبا\u200f", "👩\u200d👧", "\u00a0\u2065\u206a"]
)
def test_other_text_is_printed_unchanged(text: str) -> None:
    assert printable(text) == text


def test_no_text_can_overwrite_its_line() -> None:
    assert printable("one\rtwo\r\n") == "onetwo\n"


async def test_nothing_that_the_server_sends_controls_the_terminal() -> None:
    evil = "\x1b]0;title\x07\x9b2J\u202e"
    reply = event({"type": "text-delta", "delta": evil}) + DONE
    error = event({"type": "error", "errorText": evil}) + DONE
    backend = Backend(SESSION + reply, SESSION + error, (400, evil), (403, evil))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", backend.handle)

    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        lines = "One\nTwo\nThree"
        ended = await run_cli("chat", "--url", url, stdin=lines, PRIVITY_CLIENT_KEY="ck_key")
        refused = await run_cli("chat", "--url", url)

    shown = ended.out + ended.err + refused.out + refused.err
    assert shown.count("<U+001B>]0;title<U+0007><U+009B>2J<U+202E>") == 4
    assert not set("\x1b\x07\x9b\u202e") & set(shown)


async def test_a_server_that_was_started_anew_gets_the_message_with_a_new_key() -> None:
    key = {"clientKey": "ck_new"}
    backend = Backend((401, "Unknown key."), key, RESTARTED + REPLY, SESSION + REPLY)

    async with terminal_of(backend, client_key=None) as type_lines:
        shown = await type_lines("One", "Two")

    assert shown == "(The conversation no longer exists. This is a new one.)\nHi!\nHi!\n"
    assert [path for _, path, _ in backend.requests] == [
        "/api/chat",
        "/api/client-key",
        *["/api/chat"] * 2,
    ]
    assert "Bearer ck_new" in backend.authorization


@pytest.mark.parametrize(
    ("client_key", "responses"),
    [
        ("ck_key", [(401, "Unknown key.")]),
        (None, [(401, "Unknown key."), {"clientKey": "ck_new"}, (401, "Unknown key.")]),
    ],
)
async def test_a_rejected_key_is_reported_once(
    client_key: str | None, responses: list[tuple[int, str] | dict[str, str]]
) -> None:
    backend = Backend(*responses)

    async with terminal_of(backend, client_key=client_key) as type_lines:
        assert await type_lines("One") == "(Unknown key.)\n"


async def test_a_reply_may_take_as_long_as_it_likes_while_anything_arrives() -> None:
    async with open_client("http://127.0.0.1:1", "ck_key") as client:
        timeout = client._http.timeout

    assert timeout.total is None
    assert (timeout.sock_read or 0) > HEARTBEAT_INTERVAL.total_seconds()


async def test_a_server_that_redirects_names_the_url_to_use() -> None:
    async def redirect(request: web.Request) -> web.Response:
        location = f"https://chat.test{request.path}"
        return web.Response(status=308, headers={"location": location})

    backend = Backend()
    vars(backend)["handle"] = redirect
    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One")

    assert shown.endswith(" redirects to https://chat.test. Use that URL.)\n")


async def test_a_url_that_ends_with_v1_is_not_that_of_the_service() -> None:
    async def not_found(_: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "Not found"}}, status=404)

    backend = Backend()
    vars(backend)["handle"] = not_found
    async with terminal_of(backend) as type_lines:
        shown = await type_lines("One")

    assert shown.endswith(" does not answer like a Privity server.)\n")


async def test_a_name_that_is_not_found_is_named() -> None:
    async with open_client("http://privity.invalid:8000", "ck_key") as client:
        with pytest.raises(ChatError, match=r"^The host name privity\.invalid is not found\.$"):
            await client.create_session()


async def test_a_server_without_tls_is_not_called_absent() -> None:
    async with TestServer(web.Application()) as server:
        url = f"https://127.0.0.1:{server.port}"
        async with open_client(url, "ck_key") as client:
            with pytest.raises(ChatError) as caught:
                await client.create_session()

    assert str(caught.value) == f"{url} does not use TLS. Use http:// instead of https://."
