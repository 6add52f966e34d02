"""Images that the openai package sends and reads."""

from typing import Any

import openai
import pytest
from openai.types.responses import ResponseInputMessageContentListParam

from domain.model.message import TextPart
from tests.openai_clients.conftest import new_key
from tests.support.builders import an_image
from tests.support.fake_model import InstantModel
from tests.support.service import UNLIMITED, WITH_IMAGES, running_service

CONTENT: ResponseInputMessageContentListParam = [
    {"type": "input_text", "text": "What is this?"},
    {"type": "input_image", "image_url": an_image().data_url, "detail": "auto"},
]


async def test_an_image_is_sent_and_listed() -> None:
    model = InstantModel("A cat.")
    async with running_service(WITH_IMAGES, model=model) as service:
        key = await new_key(service.url)
        async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=key) as client:
            conversation = await client.conversations.create()
            response = await client.responses.create(
                model="any",
                input=[{"role": "user", "content": CONTENT}],
                conversation=conversation.id,
            )
            items = await client.conversations.items.list(conversation.id, order="asc")

    assert response.output_text == "A cat."
    assert model.prompts[0].messages[0].parts[:2] == (TextPart("What is this?"), an_image())
    message = items.data[0]
    assert message.type == "message"
    assert message.content[1].type == "input_image"
    assert message.content[1].image_url == an_image().data_url


async def test_an_image_is_sent_in_a_chat_completion() -> None:
    content: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": an_image().data_url}},
    ]
    model = InstantModel("A cat.")
    async with running_service(WITH_IMAGES, model=model) as service:
        key = await new_key(service.url)
        async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=key) as client:
            completion = await client.chat.completions.create(
                model="any", messages=[{"role": "user", "content": content}]
            )

    assert completion.choices[0].message.content == "A cat."
    assert model.prompts[0].messages[0].parts == (TextPart("What is this?"), an_image())


async def test_without_the_setting_the_error_names_the_image() -> None:
    async with running_service(UNLIMITED, model=InstantModel("Hi!")) as service:
        key = await new_key(service.url)
        async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=key) as client:
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(
                    model="any", input=[{"role": "user", "content": CONTENT}]
                )

    assert refused.value.code == "images_not_supported"
    assert refused.value.param == "input[0].content[1]"
