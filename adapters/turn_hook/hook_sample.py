"""A question and an answer as examples, and for trying out a hook."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from domain.model.identifiers import TurnId
from domain.model.message import Role
from domain.model.preparation import Question, TurnKind, Utterance

SAMPLE_ANSWER: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "instructions": "Answer from the passages, and name them as [1], [2] and so on.",
        "passages": [
            {
                "title": "Opening hours",
                "text": "The town hall is open from Monday to Friday, 8:00 to 16:00.",
                "url": "https://www.example.org/opening-hours",
            }
        ],
        "state": {"phase": "questions"},
    }
)


def sample_question(turn_id: str = "b5ac1e61b7b5b3d1c6b2f6a0b3f2c7d8") -> Question:
    """A question about opening hours, in the third turn of a conversation."""
    return Question(
        turn_id=TurnId(turn_id),
        conversation="4b1f0c9d2e7a86533f5d0e1c9a7b6248",
        turn=3,
        kind=TurnKind.MESSAGE,
        locale="en",
        message="When is the town hall open?",
        page_context='{"page": "/town-hall"}',
        earlier=(
            Utterance(role=Role.USER, text="Hello!"),
            Utterance(role=Role.ASSISTANT, text="Hello! How can I help you?"),
        ),
    )
