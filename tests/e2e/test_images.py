"""Images that users send in the native format and with the AI SDK."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.model.limits import MAX_IMAGE_BYTES
from domain.model.message import ImagePart, Part, TextPart
from entrypoints.settings import Settings
from tests.support.builders import an_image
from tests.support.fake_model import InstantModel
from tests.support.http_client import JSON, Answer
from tests.support.images import BAD_IMAGES, LARGE_IMAGE, TINY_IMAGES
from tests.support.native_client import NativeClient
from tests.support.service import WITH_IMAGES, running_service
from tests.support.untouched_conversation import UntouchedConversation

IMAGE = ImagePart(media_type="image/gif", data=b"GIF89a and more")


@pytest.fixture
def model() -> InstantModel:
    return InstantModel("A cat.")


@pytest.fixture
async def client(model: InstantModel) -> AsyncIterator[NativeClient]:
    """A client of a service whose model takes images."""
    async with running_service(WITH_IMAGES, model=model) as service:
        yield NativeClient(service.url)


@pytest.fixture
async def untouched_with_images(client: NativeClient) -> UntouchedConversation:
    return await UntouchedConversation.create(client)


def seen(model: InstantModel) -> tuple[Part, ...]:
    """What the model last saw of the newest message."""
    return model.prompts[-1].messages[-1].parts


def file(url: str, media_type: str = "image/gif") -> dict[str, Any]:
    return {"type": "file", "url": url, "mediaType": media_type}


def text(text: str = "What is this?") -> dict[str, Any]:
    return {"type": "text", "text": text}


async def send_parts(client: NativeClient, *parts: Any, chat: str = "pictures") -> Answer:
    message = {"id": "u1", "role": "user", "parts": list(parts)}
    return await client.post("/api/chat", {"id": chat, "messages": [message]})


async def send_image(client: NativeClient, url: str) -> Answer:
    return await client.post("/api/chat", {"message": "What is this?", "images": [url]})


async def test_the_model_sees_the_image_after_the_text(
    client: NativeClient, model: InstantModel
) -> None:
    await client.send_for_document("What is this?", images=[IMAGE.data_url])

    assert seen(model) == (TextPart("What is this?"), IMAGE)


async def test_history_and_export_contain_the_image(client: NativeClient) -> None:
    first = await client.send_for_document("What is this?", images=[IMAGE.data_url])
    history = await client.history(first["sessionId"])
    export = await client.get(f"/api/chat/{first['sessionId']}/export")

    document = {
        "type": "image",
        "url": IMAGE.data_url,
        "mediaType": "image/gif",
        "detail": "auto",
    }
    assert history.document["messages"][0]["parts"] == [text(), document]
    assert history.document["messages"][0]["content"] == "What is this?"
    assert export.document["messages"][0]["parts"] == [text(), document]


async def test_the_model_still_sees_the_image_in_the_next_turn(
    client: NativeClient, model: InstantModel
) -> None:
    first = await client.send_for_document("What is this?", images=[IMAGE.data_url])
    await client.send_for_document("Really?", first["sessionId"])

    assert model.prompts[-1].messages[0].parts == (TextPart("What is this?"), IMAGE)


async def test_a_message_keeps_its_images_when_its_text_is_edited(
    client: NativeClient, model: InstantModel
) -> None:
    first = await client.send_for_document("What is this?", images=[IMAGE.data_url])
    path = f"/api/chat/{first['sessionId']}/regenerate"
    await client.post(path, {"message": "What breed is this?"}, **JSON)

    assert seen(model) == (TextPart("What breed is this?"), IMAGE)


async def test_a_large_image_is_accepted(client: NativeClient, model: InstantModel) -> None:
    await client.send_for_document("What is this?", images=[LARGE_IMAGE.data_url])

    assert len(LARGE_IMAGE.data) == MAX_IMAGE_BYTES
    assert seen(model)[1] == LARGE_IMAGE


async def test_the_ai_sdk_sends_and_gets_images_as_files(
    client: NativeClient, model: InstantModel
) -> None:
    parts = (text("Compare"), file(IMAGE.data_url), text("with"), file(an_image().data_url))
    assert (await send_parts(client, *parts)).status == 200

    history = (await client.get("/api/chat/pictures")).document
    assert seen(model) == (TextPart("Compare"), IMAGE, TextPart("with"), an_image())
    assert history["messages"][0]["parts"] == [
        {"type": "text", "text": "Compare", "state": "done"},
        file(IMAGE.data_url),
        {"type": "text", "text": "with", "state": "done"},
        file(an_image().data_url, "image/png"),
    ]


@pytest.mark.parametrize("parts", [[file(IMAGE.data_url)], [text(" "), file(IMAGE.data_url)]])
async def test_the_ai_sdk_may_send_an_image_without_text(
    client: NativeClient, model: InstantModel, parts: list[Any]
) -> None:
    assert (await send_parts(client, *parts)).status == 200

    assert seen(model) == (IMAGE,)


@pytest.mark.parametrize("url", BAD_IMAGES.values(), ids=BAD_IMAGES)
async def test_a_bad_image_is_refused_by_name_and_changes_nothing(
    untouched_with_images: UntouchedConversation, url: str
) -> None:
    client = untouched_with_images.client
    native = await send_image(client, url)
    ai_sdk = await send_parts(client, text(), file(url), chat=untouched_with_images.session_id)

    assert native.code == ai_sdk.code in ("image_invalid", "image_too_large")
    assert native.document["field"] == "images[0]"
    assert ai_sdk.document["field"] == "parts[1]"
    assert not url or url not in native.body.decode()
    await untouched_with_images.assert_unchanged()


async def test_a_message_with_too_many_images_is_refused(
    untouched_with_images: UntouchedConversation,
) -> None:
    client, session_id = untouched_with_images.client, untouched_with_images.session_id
    urls = [image.data_url for image in TINY_IMAGES[:9]]
    native = await client.post("/api/chat", {"message": "Look", "images": urls})
    ai_sdk = await send_parts(client, text(), *map(file, urls), chat=session_id)

    assert [native.code, ai_sdk.code] == ["too_many_images"] * 2
    await untouched_with_images.assert_unchanged()


async def test_another_file_is_refused(untouched_with_images: UntouchedConversation) -> None:
    client, session_id = untouched_with_images.client, untouched_with_images.session_id
    pdf = file("data:application/pdf;base64,JVBERg==", "application/pdf")
    answer = await send_parts(client, text(), pdf, chat=session_id)

    assert (answer.status, answer.code) == (400, "body_invalid")
    assert answer.document["field"] == "parts[1]"
    await untouched_with_images.assert_unchanged()


@pytest.mark.parametrize("image", [IMAGE, LARGE_IMAGE], ids=["small", "large"])
async def test_without_the_setting_images_are_refused_with_a_code_of_their_own(
    echo_client: NativeClient, image: ImagePart
) -> None:
    native = await send_image(echo_client, image.data_url)
    ai_sdk = await send_parts(echo_client, text(), file(image.data_url))

    for answer in (native, ai_sdk):
        assert (answer.status, answer.code) == (400, "images_not_supported")
    assert native.document["field"] == "images[0]"
    assert ai_sdk.document["field"] == "parts[1]"


async def test_a_body_with_large_images_is_still_bounded(client: NativeClient) -> None:
    urls = [LARGE_IMAGE.data_url] * 5
    answer = await client.post("/api/chat", {"message": "Look", "images": urls})

    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_images_count_towards_the_limit_on_stored_bytes() -> None:
    sparing = Settings(model_images=True, stored_bytes_per_hour=100_000)
    async with running_service(sparing, model=InstantModel("A cat.")) as service:
        client = NativeClient(service.url)
        urls = [an_image(60_000).data_url]
        first = await client.send("What is this?", images=urls)
        second = await client.send("And this?", first.session_id, images=urls)

    assert first.status == 200
    assert (second.status, second.code) == (429, "too_many_requests")
    assert "stored bytes" in second.document["detail"]
