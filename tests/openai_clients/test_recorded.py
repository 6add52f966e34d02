"""What OpenAI's packages were answered when they were recorded, they are answered today."""

import json

import pytest

from tests.support.openai_recordings import FOLDER, Names, recording, replayed
from tests.support.v1_client import V1Client

RECORDINGS = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recorded_exchange_is_answered_as_it_was(office: str, name: str) -> None:
    known = recording(name)
    today = await replayed(await V1Client.new(office), known)

    assert [one.document() for one in today] == [one.document() for one in known]


def test_every_part_of_the_protocol_is_recorded() -> None:
    assert RECORDINGS == ["conversations", "refusals", "responses", "sessions", "streams", "tools"]


def test_no_recording_holds_a_key_or_a_real_id() -> None:
    texts = [(FOLDER / f"{name}.json").read_text("utf-8") for name in RECORDINGS]

    assert [text for text in texts if "ck_" in text or "Bearer" in text] == []
    assert [Names().named(json.loads(text)) == json.loads(text) for text in texts] == [True] * 6
