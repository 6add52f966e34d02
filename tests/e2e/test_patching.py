"""``PATCH /api/chat/{id}`` changes the language and the metadata of a conversation."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from attrs import evolve

from tests.support.fake_model import EchoModel, FakeModel, InstantModel
from tests.support.http_client import Answer
from tests.support.legacy_widget import Widget
from tests.support.native_client import NativeClient, eventually
from tests.support.service import UNLIMITED, running_service, running_service_in_thread
from tests.support.v1_client import V1Client

PROFILE = """
system_prompt = "Be kind."

[welcome]
en = "Welcome"
fi = "Tervetuloa"
"""
MERGE_PATCH = "application/merge-patch+json"
FULL = {f"{number:064}": "x" * 512 for number in range(16)}


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("profile") / "assistant.toml"
    file.write_text(PROFILE)
    return evolve(UNLIMITED, assistant_file=file)


@pytest.fixture(scope="module")
def bilingual(profile: Any) -> Iterator[str]:
    with running_service_in_thread(profile, EchoModel()) as url:
        yield url


@pytest.fixture
def user(bilingual: str) -> NativeClient:
    return NativeClient(bilingual)


@pytest.fixture
def model() -> InstantModel:
    return InstantModel("Hi!")


@pytest.fixture
async def prompted_user(profile: Any, model: InstantModel) -> AsyncIterator[NativeClient]:
    """A user of a service with the same profile, whose prompts the test sees."""
    async with running_service(profile, model=model) as service:
        yield NativeClient(service.url)


def result(answer: Answer) -> tuple[str, dict[str, str]]:
    assert answer.status == 200, answer.body
    return answer.document["locale"], answer.document["metadata"]


async def patched(user: NativeClient, chat: str, patch: object) -> tuple[str, dict[str, str]]:
    """The language and metadata after the change; all routes that show them agree."""
    changed = result(await user.patch(f"/api/chat/{chat}", patch))
    ai_sdk = await user.get(f"/api/chat/{chat}")
    export = await user.get(f"/api/chat/{chat}/export")
    native = await user.history(ai_sdk.document["sessionId"])
    assert result(ai_sdk) == result(export) == result(native) == changed
    return changed


async def test_what_the_patch_does_not_name_stays(user: NativeClient) -> None:
    session_id = (await user.send("Hi", locale="en")).session_id

    assert await patched(user, session_id, {"metadata": {"a": "1", "b": "2"}}) == (
        "en",
        {"a": "1", "b": "2"},
    )
    assert await patched(user, session_id, {"locale": "fi"}) == ("fi", {"a": "1", "b": "2"})
    assert await patched(user, session_id, {"metadata": {"a": None, "c": ""}}) == (
        "fi",
        {"b": "2", "c": ""},
    )
    assert await patched(user, session_id, {}) == ("fi", {"b": "2", "c": ""})
    assert await patched(user, session_id, {"metadata": None}) == ("fi", {})


@pytest.mark.parametrize(
    ("locale", "language"),
    [("fi", "fi"), ("FI-fi", "fi"), ("fi_FI", "fi"), ("sv", "en"), ("", "en"), (None, "en")],
)
async def test_a_language_is_looked_up_as_everywhere(
    user: NativeClient, locale: str | None, language: str
) -> None:
    session_id = (await user.send("Moi", locale="fi")).session_id

    assert await patched(user, session_id, {"locale": locale}) == (language, {})


async def test_the_language_prefix_of_the_path_changes_nothing(user: NativeClient) -> None:
    session_id = (await user.send("Hi", locale="en")).session_id

    answer = await user.patch(f"/fi/api/chat/{session_id}", {"metadata": {"a": "1"}})

    assert result(answer) == ("en", {"a": "1"})


async def test_a_repeated_patch_changes_nothing_more_and_no_retention(user: NativeClient) -> None:
    session_id = (await user.send("Hi")).session_id
    before = (await user.history(session_id)).document
    patch = {"locale": "fi", "metadata": {"a": "1", "gone": None}}

    answers = [await user.patch(f"/api/chat/{session_id}", patch) for _ in range(2)]

    assert answers[0].document == answers[1].document
    assert answers[0].document == {
        "sessionId": session_id,
        "locale": "fi",
        "metadata": {"a": "1"},
        "expiresAt": before["expiresAt"],
    }
    assert answers[0].headers["cache-control"] == "no-store"
    after = (await user.history(session_id)).document
    assert (after["messages"], after["turn"]) == (before["messages"], before["turn"])


async def test_both_content_types_of_json_are_accepted_and_no_other(user: NativeClient) -> None:
    session_id = (await user.send("Hi")).session_id
    where, body = f"/api/chat/{session_id}", json.dumps({"locale": "fi"}).encode()

    accepted = await user.call("PATCH", where, body, content_type=f"{MERGE_PATCH}; charset=utf-8")
    refused = [
        await user.call("PATCH", where, body, content_type=kind)
        for kind in ("text/plain", "application/json-patch+json", "")
    ]
    elsewhere = await user.post("/api/chat", {"message": "Hi"}, content_type=MERGE_PATCH)

    assert result(accepted)[0] == "fi"
    assert {one.code for one in (*refused, elsewhere)} == {"unsupported_media_type"}
    both = f"The body must be application/json or {MERGE_PATCH}."
    assert {one.document["detail"] for one in refused} == {both}
    assert elsewhere.document["detail"] == "The body must be application/json."


async def test_a_session_may_begin_with_metadata(user: NativeClient) -> None:
    created = await user.post("/api/sessions", {"locale": "fi", "metadata": FULL})
    session_id = created.document["sessionId"]

    assert created.status == 201, created.body
    assert result(await user.history(session_id)) == ("fi", FULL)
    refused = await user.post("/api/sessions", {"metadata": {**FULL, "one more": ""}})
    assert (refused.status, refused.code) == (400, "body_invalid")


async def test_the_largest_metadata_can_be_replaced_by_as_much_again(user: NativeClient) -> None:
    session_id = (await user.send("Hi")).session_id
    other = {f"\U0001f600{number}": "\U0001f600" * 512 for number in range(16)}
    swap = {**dict.fromkeys(FULL), **other}

    assert (await patched(user, session_id, {"metadata": FULL}))[1] == FULL
    one_more = await user.patch(f"/api/chat/{session_id}", {"metadata": {"one more": ""}})
    assert (one_more.status, one_more.code, one_more.document["field"]) == (
        400,
        "invalid_input",
        "metadata",
    )
    assert (await patched(user, session_id, {"metadata": swap}))[1] == other


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b'"fi"',
        b'{"locale": 1}',
        b'{"locale": ["fi"]}',
        b'{"locale": "%s"}' % (b"a" * 36),
        b'{"locale": "%s"}' % (b"a-" * 9),
        b'{"metadata": []}',
        b'{"metadata": "a"}',
        b'{"metadata": {"a": 1}}',
        b'{"metadata": {"a": {}}}',
        b'{"metadata": {"a": "b\\u0000"}}',
        b'{"metadata": {"a\\u0000": "b"}}',
        b'{"metadata": {"%s": "b"}}' % (b"a" * 65),
        b'{"metadata": {"a": "%s"}}' % (b"b" * 513),
        b'{"metadata": {%s}}' % b",".join(b'"n%d": null' % number for number in range(33)),
        b'{"metadata": {"a": "\\ud800"}}',
        b'{"metadata": %s}' % (b'{"a":' * 70 + b"1" + b"}" * 70),
        b'{"messages": []}',
        b'{"expiresAt": "2099-01-01T00:00:00Z"}',
        b'{"metadata": {"a": "b"}',
        b"\xff",
    ],
)
async def test_anything_else_is_refused_and_changes_nothing(
    user: NativeClient, body: bytes
) -> None:
    session_id = (await user.send("Hi", locale="fi")).session_id
    before = (await user.get(f"/api/chat/{session_id}/export")).body

    answer = await user.call(
        "PATCH", f"/api/chat/{session_id}", body, content_type="application/json"
    )

    assert (answer.status, answer.code) in {(400, "body_invalid"), (400, "body_not_json")}
    assert (await user.get(f"/api/chat/{session_id}/export")).body == before


async def test_a_conversation_of_nobody_or_somebody_else_is_not_found(user: NativeClient) -> None:
    session_id = (await user.send("Hi")).session_id
    stranger = NativeClient(user.url)
    await stranger.get_key()
    answers = [
        await NativeClient(user.url).patch(f"/api/chat/{session_id}", {"locale": "fi"}),
        await stranger.patch(f"/api/chat/{session_id}", {"locale": "fi"}),
        await user.patch(f"/api/chat/{uuid4()}", {"locale": "fi"}),
        await user.patch("/api/chat/unknown", {"locale": "fi"}),
    ]

    assert {(one.status, one.code) for one in answers} == {(404, "conversation_not_found")}
    assert not any("set-cookie" in one.headers for one in answers)
    assert result(await user.history(session_id)) == ("en", {})


async def test_many_changes_at_once_are_all_made(user: NativeClient) -> None:
    session_id = (await user.send("Hi")).session_id
    changes = [{"metadata": {f"n{number}": str(number)}} for number in range(8)]

    await asyncio.gather(*(user.patch(f"/api/chat/{session_id}", one) for one in changes))

    assert result(await user.history(session_id))[1] == {
        f"n{number}": str(number) for number in range(8)
    }


async def test_the_next_turn_asks_for_the_new_language_in_every_protocol(
    prompted_user: NativeClient, model: InstantModel
) -> None:
    user, widget = prompted_user, Widget(prompted_user)
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    await widget.send("Hi")
    await user.post("/api/chat", {"id": "mine", "message": message})
    session_id = (await user.send("Hi")).session_id
    for chat in (str(widget.session_id), "mine", session_id):
        assert (await user.patch(f"/api/chat/{chat}", {"locale": "fi"})).status == 200

    await widget.send("Moi")
    await user.post("/api/chat", {"id": "mine", "message": {**message, "id": "u2"}})
    await user.send("Moi", session_id)

    assert [prompt.locale for prompt in model.prompts] == ["en"] * 3 + ["fi"] * 3


async def test_another_reply_asks_for_the_new_language_unless_the_request_names_one(
    prompted_user: NativeClient, model: InstantModel
) -> None:
    user = prompted_user
    session_id = (await user.send("Hi")).session_id
    await user.patch(f"/api/chat/{session_id}", {"locale": "fi"})
    where = f"/api/chat/{session_id}/regenerate"

    await user.post(where, {}, accept_language="en")
    await user.post(where, {"locale": "en"})
    await user.post(where, {"message": "Moi", "locale": "fi-FI"})

    assert [prompt.locale for prompt in model.prompts] == ["en", "fi", "en", "fi"]


async def test_the_ai_sdk_another_reply_keeps_the_language_unless_the_body_names_one(
    prompted_user: NativeClient, model: InstantModel
) -> None:
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    body = {"id": "mine", "messages": [message]}
    again = {**body, "trigger": "regenerate-message"}
    await prompted_user.post("/api/chat", body, accept_language="fi")
    await prompted_user.post("/api/chat", again, accept_language="en")
    await prompted_user.post("/api/chat", {**again, "locale": "en"})

    assert [prompt.locale for prompt in model.prompts] == ["fi", "fi", "en"]


async def test_v1_has_the_same_metadata(user: NativeClient) -> None:
    program = await V1Client.new(user.url)
    conversation = await program.conversation("Hi")
    session_id = UUID(hex=conversation.removeprefix("conv_"))
    await program.post(f"/v1/conversations/{conversation}", {"metadata": {"a": "1", "b": "2"}})
    changed = await program.client.patch(
        f"/api/chat/{session_id}", {"metadata": {"a": None, "c": "3"}}
    )
    document = (await program.get(f"/v1/conversations/{conversation}")).document

    assert changed.document["metadata"] == document["metadata"] == {"b": "2", "c": "3"}


async def test_it_works_while_a_reply_is_written_and_that_reply_keeps_its_language(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Hello?") as live:
        session_id = (await live.event()).document["sessionId"]
        model_reply = await fake_model.next_reply()
        answer = await client.patch(
            f"/api/chat/{session_id}", {"locale": "fi", "metadata": {"a": "1"}}
        )
        during = (await client.history(session_id)).document
        model_reply.send_text("Hi!")
        model_reply.finish()
        await live.whole()
    await eventually(lambda: client.has_ended(session_id))
    after = (await client.history(session_id)).document

    assert answer.status == 200, answer.body
    assert during["turn"]["status"] == "open"
    assert model_reply.prompt.locale == "en"
    assert (after["locale"], after["metadata"]) == ("fi", {"a": "1"})
    assert [message["content"] for message in after["messages"]] == ["Hello?", "Hi!"]
