"""Recorded exchanges guard the formats, even without Node.js.

To record again, after an intended change: ``PRIVITY_RECORD=1 pytest tests/clients``, with the
npm packages installed.
"""

import asyncio

import pytest

from tests.support.ai_sdk_recordings import (
    RECORDING,
    Names,
    RecordedRequest,
    read,
    rendered,
    replay,
    reply_as_recorded,
    write,
)
from tests.support.fake_model import FakeModel
from tests.support.native_client import NativeClient
from tests.support.node import need_node, running
from tests.support.service import RunningService
from tests.support.use_chat_page import Page

OF_PACKAGES = "use_chat.json"


@pytest.mark.parametrize("name", [OF_PACKAGES, "use_chat_app.json", "widget.json"])
async def test_recorded_requests_get_the_recorded_responses(
    service: RunningService, fake_model: FakeModel, name: str
) -> None:
    recorded, names = read(name), Names()
    client = NativeClient(service.url)
    for exchange in recorded["exchanges"]:
        request = RecordedRequest.of(exchange)
        answer, _ = await asyncio.gather(
            replay(client, request, names), reply_as_recorded(fake_model, request)
        )
        response = names.hidden(rendered(answer))
        if RECORDING:
            exchange["answer"] = response

        assert response == exchange["answer"], exchange["title"]
    if RECORDING:
        write(name, recorded)


@pytest.mark.parametrize("major", ["7", "6", "5"])
async def test_the_packages_still_send_the_recorded_requests(
    service: RunningService, fake_model: FakeModel, major: str
) -> None:
    need_node()
    recorded, names = read(OF_PACKAGES), Names()
    async with running("driver.mjs", service.url, major) as node:
        page = Page(node)
        await page.open(id="recorded", automatic=True)
        for count, exchange in enumerate(recorded["exchanges"], 1):
            needs_reply = exchange.get("reply") is not None
            await page.act(exchange["does"])
            if needs_reply:
                await reply_as_recorded(
                    fake_model, RecordedRequest.of({"request": BLANK, **exchange})
                )
            state = await page.until(status="ready", answered=count)
            request = names.hidden(state["requests"][-1])
            made = {member: request[member] for member in BLANK}
            if RECORDING and major == "7":
                exchange["request"] = made

            assert made == exchange["request"], exchange["title"]
    if RECORDING and major == "7":
        write(OF_PACKAGES, recorded)


BLANK = {"method": "", "path": "", "body": None}
