"""Bad paths, methods, parameters and headers: each gets a clear problem, and nothing is changed."""

import pytest

from tests.support.untouched_conversation import UntouchedConversation


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/api",
        "/api/",
        "/api/chats",
        "/api/chat/",
        "/api/chat/a/b",
        "/API/chat",
        "//api/chat",
        "/api/../etc/passwd",
        "/api/chat%00",
        "/health",
        "/openapi.json/",
        "/page/index.html",
        "/%ff",
    ],
)
async def test_an_unknown_address_is_404(untouched: UntouchedConversation, path: str) -> None:
    rejection = await untouched.rejection(lambda client: client.get(path))

    assert rejection == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/chat", {"GET", "HEAD", "POST", "DELETE"}),
        ("PUT", "/api/chat/{}", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("POST", "/api/chat/{}/stream", {"GET", "HEAD"}),
        ("GET", "/api/chat/{}/stop", {"POST"}),
        ("GET", "/api/client-key", {"POST", "DELETE"}),
        ("GET", "/api/sessions", {"POST"}),
        ("POST", "/health/live", {"GET", "HEAD"}),
        ("DELETE", "/", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_405_and_lists_the_allowed_ones(
    untouched: UntouchedConversation, method: str, path: str, allowed: set[str]
) -> None:
    path = path.format(untouched.session_id)
    answer = await untouched.client.call(method, path)

    rejection = await untouched.rejection(lambda client: client.call(method, path))

    assert rejection == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "query",
    [
        *("before=0", "before=-1", "before=x", "before=", "before=1.5", "before=%D9%A3"),
        *("before=9007199254740993", "before=" + "9" * 3_000, "before=1_0", "before=+1"),
        *("limit=0", "limit=501", "limit=-1", "limit=all", "limit=", "limit=%00"),
    ],
    ids=lambda query: query[:20],
)
async def test_invalid_paging_parameters_are_rejected(
    untouched: UntouchedConversation, query: str
) -> None:
    path = f"/api/chat?sessionId={untouched.session_id}&{query}"

    rejection = await untouched.rejection(lambda client: client.get(path))

    assert rejection == (400, "invalid_input")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "session_id_missing"),
        ("?sessionId=", "session_id_missing"),
        ("?sessionid=x", "session_id_missing"),
        ("?sessionId=x", "session_id_malformed"),
        ("?sessionId=%00", "session_id_malformed"),
        ("?sessionId=%ff", "session_id_malformed"),
        ("?sessionId=" + "a" * 2_000, "session_id_malformed"),
    ],
    ids=lambda text: text[:20],
)
async def test_reading_and_forgetting_require_a_session_id(
    untouched: UntouchedConversation, method: str, query: str, code: str
) -> None:
    rejection = await untouched.rejection(lambda client: client.call(method, f"/api/chat{query}"))

    assert rejection == (400, code)


@pytest.mark.parametrize("name", ["x", "6D2A6A4E-6C1E-4F0E-9A0E-3D8B5A3F2C11", "%00", "%ff"])
async def test_an_unknown_id_in_the_path_changes_nothing(
    untouched: UntouchedConversation, name: str
) -> None:
    rejections = {
        await untouched.rejection(lambda client: client.get(f"/api/chat/{name}")),
        await untouched.rejection(lambda client: client.get(f"/api/chat/{name}/export")),
        await untouched.rejection(lambda client: client.post(f"/api/chat/{name}/regenerate", {})),
    }
    forgotten = await untouched.client.delete(f"/api/chat/{name}")
    resumed = await untouched.client.get(f"/api/chat/{name}/stream")
    stopped = await untouched.client.post(f"/api/chat/{name}/stop", {})

    assert rejections == {(404, "conversation_not_found")}
    assert (forgotten.status, resumed.status) == (204, 204)
    assert stopped.document == {"success": True, "stopped": False}
    await untouched.assert_unchanged()


@pytest.mark.parametrize(
    "cursor",
    ["x", ".", ".1", "a.", "a.-1", "a.x", "a.\xb9", "a." + "9" * 19, "a.1.", "a.1e3"],
)
async def test_a_malformed_cursor_resumes_nothing(
    untouched: UntouchedConversation, cursor: str
) -> None:
    path = f"/api/chat/{untouched.session_id}/stream"

    rejection = await untouched.rejection(lambda client: client.get(path, last_event_id=cursor))

    assert rejection == (400, "cursor_malformed")


@pytest.mark.parametrize(
    ("action", "body", "code"),
    [
        ("stop", {"turnId": 1}, "body_invalid"),
        ("stop", {"turnId": "x" * 65}, "body_invalid"),
        ("stop", {"all": True}, "body_invalid"),
        ("stop", [], "body_invalid"),
        ("regenerate", {"messageId": ""}, "message_id_malformed"),
        ("regenerate", {"messageId": "a b"}, "message_id_malformed"),
        ("regenerate", {"messageId": "x" * 65}, "message_id_malformed"),
        ("regenerate", {"messageId": "\N{SNOWMAN}"}, "message_id_malformed"),
        ("regenerate", {"message": " "}, "message_empty"),
        ("regenerate", {"message": "a\0"}, "message_not_text"),
        ("regenerate", {"onBusy": "wait"}, "body_invalid"),
        ("regenerate", {"sessionId": "x"}, "body_invalid"),
    ],
)
async def test_a_malformed_stop_or_regenerate_changes_nothing(
    untouched: UntouchedConversation, action: str, body: object, code: str
) -> None:
    path = f"/api/chat/{untouched.session_id}/{action}"

    rejection = await untouched.rejection(lambda client: client.post(path, body))

    assert rejection == (400, code)


@pytest.mark.parametrize("path", ["/api/sessions", "/api/client-key"])
@pytest.mark.parametrize("body", [{"message": "Hi"}, [], None, 1])
async def test_routes_with_an_empty_body_reject_anything_else(
    untouched: UntouchedConversation, path: str, body: object
) -> None:
    rejection = await untouched.rejection(lambda client: client.post(path, body))

    assert rejection == (400, "body_invalid")


@pytest.mark.parametrize(
    "origin", ["", "x", "null", "http://", "http://[", "http://]", "http://a:b"]
)
async def test_a_malformed_origin_counts_as_another_site(
    untouched: UntouchedConversation, origin: str
) -> None:
    rejection = await untouched.rejection(
        lambda client: client.post("/api/chat", {"message": "Hi"}, origin=origin)
    )

    assert rejection == (403, "cross_site_request")


@pytest.mark.parametrize("host", ["[", "]", "a b", "a/b?c#d", "evil.example:x", "\xff", ""])
async def test_a_malformed_host_changes_nothing(
    untouched: UntouchedConversation, host: str
) -> None:
    rejections = {
        await untouched.rejection(lambda client: client.get("/", host=host)),
        await untouched.rejection(
            lambda client: client.post("/api/chat", {"message": "Hi"}, host=host)
        ),
    }

    assert rejections == {(421, "host_unknown")}


async def test_a_trailing_slash_never_redirects_to_the_named_host(
    untouched: UntouchedConversation,
) -> None:
    answer = await untouched.client.get("/openapi.json/", host="evil.example")

    assert "evil.example" not in answer.headers.get("location", "")
