"""Row: the model fails or times out. An error event (or 502/504 as JSON), the turn has failed and
may be retried; the user message and the pieces so far are kept, marked.
"""

import pytest

from tests.support.event_stream import kinds, text_of
from tests.support.fleet import Fleet, meeting
from tests.support.ordered_model import DIE, FINISH, GARBAGE, HANG, REFUSE, an_order, told

FAILURES = {
    HANG: (3, "model_timeout", 504),
    DIE: (3, "model_stream_malformed", 502),
    GARBAGE: (3, "model_stream_malformed", 502),
    REFUSE: (0, "model_unavailable", 502),
}


@pytest.mark.parametrize("ending", FAILURES)
async def test_a_model_that_fails_is_told_and_what_it_said_is_kept(
    fleet: Fleet, ending: str
) -> None:
    pieces, code, status = FAILURES[ending]
    client = meeting(await fleet.one(MODEL_SILENCE_SECONDS="1"))
    # What comes in the same moment as a break is lost with it, so the pieces have time to arrive.
    order = an_order("broken", 3, 200, ending)
    answer = await client.send(order)
    session_id = answer.session_id
    history = (await client.history(session_id)).document
    as_json = await client.post("/api/chat", {"message": order}, accept="application/json")
    retried = await client.send(an_order("mended", 2, 0, FINISH), session_id)

    assert not answer.clean
    assert kinds(answer.events)[-1] == "error"
    assert text_of(answer.events) == told("broken", pieces)
    assert (history["turn"]["status"], history["turn"]["error"]) == ("failed", code)
    kept = [said["content"] for said in history["messages"]]
    assert kept == [order, *([told("broken", pieces)] if pieces else [])]
    assert (as_json.status, as_json.code) == (status, code)
    assert text_of(retried.events) == told("mended", 2)
