"""Images that programs send on ``/v1``."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.model.message import ImagePart, Part, TextPart
from tests.support.builders import an_image
from tests.support.fake_model import InstantModel
from tests.support.images import BAD_IMAGES, LARGE_IMAGE, TINY_IMAGES
from tests.support.native_client import NativeClient
from tests.support.service import UNLIMITED, WITH_IMAGES, running_service
from tests.support.v1_client import V1Client, error_of

IMAGE = ImagePart(media_type="image/gif", data=b"GIF89a and more", detail="low")
QUESTION = {"type": "input_text", "text": "What is this?"}


@pytest.fixture
def model() -> InstantModel:
    return InstantModel("A cat.")


@pytest.fixture
async def client(model: InstantModel) -> AsyncIterator[V1Client]:
    """A program with a model that takes images."""
    async with running_service(WITH_IMAGES, model=model) as service:
        yield await V1Client.new(service.url)


def content_of(image: ImagePart) -> dict[str, str]:
    return {"type": "input_image", "image_url": image.data_url, "detail": image.detail}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def seen(model: InstantModel, index: int = -1) -> tuple[Part, ...]:
    """What the model last saw of a message."""
    return model.prompts[-1].messages[index].parts


async def test_the_model_sees_texts_and_images_in_their_order(
    client: V1Client, model: InstantModel
) -> None:
    answer = await client.ask([user(content_of(IMAGE), QUESTION, content_of(an_image()))])

    assert answer.status == 200, answer.body
    assert seen(model) == (IMAGE, TextPart("What is this?"), an_image())


@pytest.mark.parametrize("store", [True, False])
async def test_an_image_needs_no_text(
    client: V1Client, model: InstantModel, *, store: bool
) -> None:
    answer = await client.ask([user(content_of(IMAGE))], store=store)

    assert answer.status == 200, answer.body
    assert seen(model) == (IMAGE,)


async def test_detail_may_be_left_out(client: V1Client, model: InstantModel) -> None:
    for members in ({}, {"detail": None, "file_id": None}, {"detail": "auto"}):
        image = {"type": "input_image", "image_url": IMAGE.data_url, **members}
        assert (await client.ask([user(image)])).status == 200

        assert seen(model) == (ImagePart(media_type="image/gif", data=IMAGE.data),)


async def test_items_show_images_as_they_can_be_sent_again(
    client: V1Client, model: InstantModel
) -> None:
    name = (await client.post("/v1/conversations", {})).document["id"]
    items = [user(QUESTION, content_of(IMAGE))]
    added = await client.post(f"/v1/conversations/{name}/items", {"items": items})
    listed = await client.get(f"/v1/conversations/{name}/items")
    [item] = listed.document["data"]
    again = await client.ask([item])

    assert added.document["data"] == [item]
    assert item["content"] == [QUESTION, content_of(IMAGE)]
    assert again.status == 200, again.body
    assert seen(model) == (TextPart("What is this?"), IMAGE)


async def test_a_new_conversation_may_begin_with_an_image(
    client: V1Client, model: InstantModel
) -> None:
    items = [user(QUESTION, content_of(LARGE_IMAGE))]
    created = await client.post("/v1/conversations", {"items": items})
    answer = await client.ask("And now?", conversation=created.document["id"])
    before = await client.get(f"/v1/responses/{answer.document['id']}/input_items?order=asc")

    assert seen(model, 0) == (TextPart("What is this?"), LARGE_IMAGE)
    assert before.document["data"][0]["content"][1] == {
        "type": "input_image",
        "image_url": LARGE_IMAGE.data_url,
        "detail": "auto",
    }


async def test_the_whole_history_may_be_sent_each_time(
    client: V1Client, model: InstantModel
) -> None:
    history: list[dict[str, Any]] = []
    for image in (an_image(1_400_000), an_image(1_400_001), an_image(1_400_002)):
        history.append(user(QUESTION, content_of(image)))
        answer = await client.ask(history)
        assert answer.status == 200, answer.body
        history += answer.document["output"]

    shown = [message.parts[1:] for message in model.prompts[-1].messages[::2]]
    assert shown == [(an_image(1_400_000 + number),) for number in range(3)]


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a file id": (
        {"type": "input_image", "file_id": "file_1"},
        "parameter_unsupported",
        ".file_id",
    ),
    "no URL": ({"type": "input_image"}, "body_invalid", ".image_url"),
    "an object for a URL": (
        {"type": "input_image", "image_url": {"url": IMAGE.data_url}},
        "body_invalid",
        ".image_url",
    ),
    "an unknown detail": (
        {"type": "input_image", "image_url": IMAGE.data_url, "detail": "tiny"},
        "parameter_unsupported",
        ".detail",
    ),
    "a file": (
        {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERg=="},
        "parameter_unsupported",
        ".type",
    ),
    "audio": ({"type": "input_audio"}, "parameter_unsupported", ".type"),
}


@pytest.mark.parametrize(("content", "code", "member"), REFUSED.values(), ids=REFUSED)
async def test_other_content_is_refused_by_name(
    client: V1Client, content: dict[str, Any], code: str, member: str
) -> None:
    answer = await client.ask([user(QUESTION, content)])

    assert answer.status == 400
    assert error_of(answer)["code"] == code
    assert error_of(answer)["param"].endswith(member)


async def test_every_bad_image_is_refused_by_name(client: V1Client, model: InstantModel) -> None:
    for name, url in BAD_IMAGES.items():
        image = {"type": "input_image", "image_url": url}
        answer = await client.ask([user(QUESTION, image)])
        items = await client.post("/v1/conversations", {"items": [user(QUESTION, image)]})

        assert error_of(answer)["code"] in ("image_invalid", "image_too_large"), name
        assert error_of(answer)["param"] == "input[0].content[1].image_url"
        assert error_of(items)["param"] == "items[0].content[1].image_url"
    assert model.prompts == []


@pytest.mark.parametrize("role", ["assistant", "system", "developer"])
async def test_only_a_user_can_have_images(client: V1Client, role: str) -> None:
    message = {"role": role, "content": [QUESTION, content_of(IMAGE)]}
    for items in ([message, user(QUESTION)], [user(QUESTION), message]):
        answer = await client.ask(items)

        assert error_of(answer)["code"] == "parameter_unsupported"
        assert error_of(answer)["param"] == f"input[{items.index(message)}].content[1].type"


async def test_a_message_with_too_many_images_is_refused(client: V1Client) -> None:
    answer = await client.ask([user(*map(content_of, TINY_IMAGES[:9]))])

    assert (answer.status, error_of(answer)["code"]) == (413, "too_many_images")
    assert error_of(answer)["param"] == "input[0].content"


async def test_a_conversation_has_a_limited_size_of_images(client: V1Client) -> None:
    items = [user(content_of(an_image(1_499_000 + number))) for number in range(4)]
    created = await client.post("/v1/conversations", {"items": items})
    full = await client.post(
        f"/v1/conversations/{created.document['id']}/items",
        {"items": [user(content_of(an_image(5_000)))]},
    )

    assert created.status == 200, created.body
    assert (full.status, error_of(full)["code"]) == (413, "conversation_full")


async def test_what_is_not_an_image_has_the_usual_limit(client: V1Client) -> None:
    items = [{"role": "assistant", "content": "a" * 200_000}] * 6
    answer = await client.ask([*items, user(QUESTION, content_of(LARGE_IMAGE))])

    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("image", [IMAGE, LARGE_IMAGE], ids=["small", "large"])
async def test_without_the_setting_images_are_refused_with_a_code_of_their_own(
    image: ImagePart,
) -> None:
    async with running_service(UNLIMITED, model=InstantModel("Hi!")) as service:
        client = await V1Client.new(service.url)
        answer = await client.ask([user(QUESTION, content_of(image))])

    assert (answer.status, error_of(answer)["code"]) == (400, "images_not_supported")
    assert error_of(answer)["param"] == "input[0].content[1]"


async def test_both_protocols_see_the_same_image(client: V1Client) -> None:
    native: NativeClient = client.client
    first = await native.send_for_document("What is this?", images=[IMAGE.data_url])
    name = f"conv_{first['sessionId'].replace('-', '')}"
    items = await client.get(f"/v1/conversations/{name}/items?order=asc")

    assert items.document["data"][0]["content"][1]["image_url"] == IMAGE.data_url


def chat_image(image: ImagePart) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": image.data_url, "detail": image.detail}}


def chat(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


CHAT_QUESTION = {"type": "text", "text": "What is this?"}


async def test_a_chat_completion_may_have_images(client: V1Client, model: InstantModel) -> None:
    plain = {"type": "image_url", "image_url": {"url": LARGE_IMAGE.data_url}}
    body = chat(CHAT_QUESTION, chat_image(IMAGE), plain)
    answer = await client.post("/v1/chat/completions", body)
    alone = await client.post("/v1/chat/completions", chat(chat_image(IMAGE)))

    assert answer.status == alone.status == 200, answer.body
    assert model.prompts[0].messages[-1].parts == (
        TextPart("What is this?"),
        IMAGE,
        LARGE_IMAGE,
    )
    assert seen(model) == (IMAGE,)


async def test_a_chat_completion_in_a_conversation_stores_the_image(client: V1Client) -> None:
    name = (await client.post("/v1/conversations", {})).document["id"]
    body = {**chat(CHAT_QUESTION, chat_image(IMAGE)), "conversation": name}
    answer = await client.post("/v1/chat/completions", body)
    items = await client.get(f"/v1/conversations/{name}/items?order=asc")

    assert answer.status == 200, answer.body
    assert items.document["data"][0]["content"] == [QUESTION, content_of(IMAGE)]


async def test_every_bad_image_in_a_chat_completion_is_refused_by_name(
    client: V1Client, model: InstantModel
) -> None:
    for name, url in BAD_IMAGES.items():
        image = {"type": "image_url", "image_url": {"url": url}}
        answer = await client.post("/v1/chat/completions", chat(CHAT_QUESTION, image))

        assert error_of(answer)["code"] in ("image_invalid", "image_too_large"), name
        assert error_of(answer)["param"] == "messages[0].content[1].image_url.url"
    many = await client.post("/v1/chat/completions", chat(*map(chat_image, TINY_IMAGES[:9])))

    assert error_of(many)["code"] == "too_many_images"
    assert model.prompts == []


async def test_without_the_setting_a_chat_completion_has_no_images() -> None:
    async with running_service(UNLIMITED, model=InstantModel("Hi!")) as service:
        client = await V1Client.new(service.url)
        body = chat(CHAT_QUESTION, chat_image(LARGE_IMAGE))
        answer = await client.post("/v1/chat/completions", body)

    assert (answer.status, error_of(answer)["code"]) == (400, "images_not_supported")
    assert error_of(answer)["param"] == "messages[0].content[1]"
