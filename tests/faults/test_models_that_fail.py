"""The model fails or times out. The client gets an error event, or 502 or 504 as JSON. The turn has
failed and can be retried; the user message and the pieces so far are kept.
"""

import pytest

from tests.support.event_stream import kinds, text_of
from tests.support.fleet import Fleet, client_of
from tests.support.instructed_model import DIE, FINISH, GARBAGE, HANG, REFUSE, instruction, reply_to

FAILURES = {
    HANG: (3, "model_timeout", 504),
    DIE: (3, "model_stream_malformed", 502),
    GARBAGE: (3, "model_stream_malformed", 502),
    REFUSE: (0, "model_unavailable", 502),
}


@pytest.mark.parametrize("ending", FAILURES)
async def test_a_failure_of_the_model_is_reported_and_its_pieces_are_kept(
    fleet: Fleet, ending: str
) -> None:
    pieces, code, status = FAILURES[ending]
    client = client_of(await fleet.start(MODEL_SILENCE_SECONDS="1"))
    # Pieces that arrive together with the failure are lost, so they get time to arrive.
    message = instruction("broken", 3, 200, ending)
    answer = await client.say(message)
    session_id = answer.session_id
    history = (await client.history(session_id)).document
    as_json = await client.post("/api/chat", {"message": message}, accept="application/json")
    retried = await client.say(instruction("retried", 2, 0, FINISH), session_id)

    assert not answer.clean
    assert kinds(answer.events)[-1] == "error"
    assert text_of(answer.events) == reply_to("broken", pieces)
    assert (history["turn"]["status"], history["turn"]["error"]) == ("failed", code)
    stored = [one["content"] for one in history["messages"]]
    assert stored == [message, *([reply_to("broken", pieces)] if pieces else [])]
    assert (as_json.status, as_json.code) == (status, code)
    assert text_of(retried.events) == reply_to("retried", 2)
