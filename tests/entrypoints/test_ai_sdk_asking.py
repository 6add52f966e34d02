"""What the AI SDK's client tells of a message, as the use cases hear it."""

from typing import Any

import msgspec
import pytest

from entrypoints.http.ai_sdk.bodies import read_ai_sdk
from entrypoints.http.ai_sdk.dispatch import AiSdkRequest, dispatch, newest_of
from entrypoints.usecases.open_turn import Started
from entrypoints.usecases.send_message import NewMessage
from tests.support.builders import ID, OWNER, after_turns, with_question
from tests.support.harness import ADDRESS

SAID = {"id": "u9", "role": "user", "parts": [{"type": "text", "text": "And?"}]}


class Heard:
    """Services that only listen."""

    def __init__(self) -> None:
        self.messages: list[NewMessage] = []
        self.find_conversation = Finding()

    async def send_message(self, _: object, message: NewMessage) -> Started:
        self.messages.append(message)
        conversation = with_question(after_turns(1), number=2)
        return Started(owner=OWNER, conversation=conversation)


class Finding:
    async def __call__(self, *_: object) -> str:
        return ID

    def derived_id(self, *_: object) -> str:
        return ID


@pytest.mark.parametrize(("members", "is_edit"), [({}, False), ({"messageId": "u9"}, True)])
async def test_only_what_is_no_edit_is_known_to_be_new(
    members: dict[str, Any], *, is_edit: bool
) -> None:
    heard: Any = Heard()
    body = read_ai_sdk(msgspec.json.encode({"id": "mine", "messages": [SAID], **members}))
    asking = AiSdkRequest(
        owner=OWNER,
        body=body,
        newest=newest_of(body),
        address=ADDRESS,
        locales=(),
        idempotency=None,
    )
    await dispatch(heard, asking)

    [message] = heard.messages
    assert (message.message_id, message.is_edit, message.is_new) == ("u9", is_edit, not is_edit)
