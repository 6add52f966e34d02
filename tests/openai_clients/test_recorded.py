"""The recorded requests of OpenAI's packages are answered as they were."""

import json

import pytest

from tests.support.openai_recordings import FOLDER, Names, recording, replay
from tests.support.v1_client import V1Client

RECORDINGS = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recorded_exchange_is_answered_as_it_was(service_url: str, name: str) -> None:
    recorded = recording(name)
    today = await replay(await V1Client.new(service_url), recorded)

    assert [one.document() for one in today] == [one.document() for one in recorded]


def test_every_part_of_the_protocol_is_recorded() -> None:
    assert RECORDINGS == [
        "completions", "conversations", "refusals", "responses", "sessions", "streams", "tools"
    ]  # fmt: skip


def test_no_recording_holds_a_key_or_a_real_id() -> None:
    texts = [(FOLDER / f"{name}.json").read_text("utf-8") for name in RECORDINGS]

    assert [text for text in texts if "ck_" in text or "Bearer" in text] == []
    assert all(Names().named(json.loads(text)) == json.loads(text) for text in texts)
