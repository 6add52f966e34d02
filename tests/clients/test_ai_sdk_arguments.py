"""``useChat``: unusable arguments of tool calls."""

import pytest

from tests.clients.test_ai_sdk_parts import call, wait_for_tool
from tests.support.fake_model import FakeModel
from tests.support.use_chat_page import Page, stored_state

ONLY_7 = pytest.mark.parametrize("major", ["7"], indirect=True)


async def test_arguments_that_are_not_json_are_an_error_of_that_call(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open()
    state = await wait_for_tool(page, fake_model, call("call_1", '{"city": "Helsinki'))
    history = await stored_state(page)

    shown, read = (source["messages"][-1]["parts"][-1] for source in (state, history))
    assert shown["state"] == read["state"] == "output-error"
    assert shown["errorText"] == read["errorText"] == "The model's arguments are not JSON."
    assert state["errors"] == []
    await page.validate(history["messages"])


@pytest.mark.parametrize(
    "arguments",
    [
        '{"city": "Helsinki", "__proto__": {"a": 1}}',
        '{"city": "Helsinki", "\\u005f_proto__": {"a": 1}}',
        '{"city": "Helsinki", "constructor": {"prototype": {"a": 1}}}',
    ],
    ids=["plain", "escaped", "by the constructor"],
)
@ONLY_7
async def test_arguments_that_the_client_would_reject_do_not_end_the_reply(
    page: Page, fake_model: FakeModel, arguments: str
) -> None:
    await page.open()
    state = await wait_for_tool(page, fake_model, call("call_1", arguments))

    assert (state["status"], state["errors"]) == ("ready", [])
    assert state["messages"][-1]["parts"][-1]["state"] == "output-error"
    assert state["finishes"][-1].get("finishReason") == "tool-calls"
