"""The names of keys in Redis, and how long they stay.

    conversation:state:<sessionId>            list    sealed frames       24 h from the last turn
    {conversation:state:<sessionId>}:turn     stream  sealed log entries  10 min; 60 s from the end

The braces put both keys of a conversation into one slot of a cluster: the part between them is all
is hashed. No other key is written, but for one that a readiness check writes and deletes itself.
"""

from datetime import timedelta
from typing import Final

from domain.model.identifiers import SessionId

RUNNING_STAY: Final = timedelta(minutes=10)
ENDED_STAY: Final = timedelta(seconds=60)
NOBODYS_KEY: Final = "conversation:state:ready"


def state_key(session_id: SessionId) -> str:
    """The list of a conversation's frames."""
    return f"conversation:state:{session_id}"


def log_key(session_id: SessionId) -> str:
    """The stream of its newest turn's log."""
    return f"{{{state_key(session_id)}}}:turn"


def milliseconds(stay: timedelta) -> int:
    """A stay as Redis counts it."""
    return stay // timedelta(milliseconds=1)
