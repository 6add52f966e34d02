"""The body of ``POST /v1/responses``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from attrs import field, frozen

from domain.model.errors import TurnNotFound
from domain.model.identifiers import SessionId
from domain.model.message import UnknownPart
from domain.model.wishes import Wishes
from entrypoints.http.openai.given_items import given_items
from entrypoints.http.openai.given_wishes import given_wishes
from entrypoints.http.openai.items import NOTE_KIND
from entrypoints.http.openai.members import lacking, member, one_of, refuse, required, wrong
from entrypoints.http.openai.names import conversation_name, named_conversation, named_response
from entrypoints.http.problems import BadRequest
from entrypoints.usecases.given_input import Input

LACKING: Final = (
    "access_programs",
    "background_options",
    "context_management",
    "image",
    "include",
    "max_tool_calls",
    "moderation",
    "prompt",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "top_logprobs",
    "user",
)
"""What OpenAI defines and we lack."""

ECHOED: Final = (
    "background",
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "top_p",
)
"""What a response repeats of what it was asked with."""

_PAIRS, _NAME_CHARACTERS, _VALUE_CHARACTERS = 16, 64, 512


@frozen(kw_only=True)
class Asked:
    """What a client asks for.

    Attributes:
        session_id: where the reply belongs; absent for a new conversation.
        after_turn: the turn it continues; absent for a conversation's newest.
        background: whether the answer comes at once, to be looked for later.
        echo: what the response repeats, by name; kept beside the input.
        tools: as they were sent; repeated by the first answer only.
    """

    inputs: Sequence[Input]
    wishes: Wishes
    session_id: SessionId | None
    after_turn: int | None
    stream: bool
    background: bool
    store: bool
    obfuscated: bool
    echo: Mapping[str, Any]
    tools: Sequence[Any] = field(factory=tuple)

    @property
    def note(self) -> UnknownPart | None:
        """What is kept of ``echo``; absent when it is empty."""
        if not self.echo:
            return None
        return UnknownPart(msgspec.json.encode({"type": NOTE_KIND, "data": self.echo}).decode())


def asked_of(body: Mapping[str, Any]) -> Asked:
    """What ``body`` asks for.

    Raises:
        BadRequest: something of it is not understood, or this service cannot heed it.
    """
    refuse(body, LACKING)
    one_of(body, "truncation", {"auto"})
    one_of(body, "service_tier", {"auto", "default"})
    member(body, "model", str, "a string")
    member(body, "prompt_cache_key", str, "a string")
    session_id, after_turn = _place(body)
    store = member(body, "store", bool, "true or false") is not False
    background = member(body, "background", bool, "true or false") is True
    if not store and body.get("conversation") is not None:
        lacking("store", "In a conversation everything is kept.")
    if not store and background:
        lacking("store", "What runs in the background has to be kept.")
    options = member(body, "stream_options", dict, "an object") or {}
    obfuscated = member(options, "include_obfuscation", bool, "true or false", "stream_options.")
    return Asked(
        inputs=given_items(body.get("input") or [], "input"),
        wishes=given_wishes(body),
        session_id=session_id,
        after_turn=after_turn,
        stream=member(body, "stream", bool, "true or false") or False,
        background=background,
        store=store,
        obfuscated=obfuscated is not False,
        echo=_echo(body, session_id),
        tools=body.get("tools") or (),
    )


def given_metadata(body: Mapping[str, Any]) -> Mapping[str, str]:
    """The member ``metadata``; empty without it.

    Raises:
        BadRequest: it is none, or too much.
    """
    metadata: Mapping[str, Any] = member(body, "metadata", dict, "an object") or {}
    expected = (
        f"at most {_PAIRS} pairs of strings, of {_NAME_CHARACTERS} and {_VALUE_CHARACTERS} "
        "characters at most"
    )
    if len(metadata) > _PAIRS or not all(_is_pair(*pair) for pair in metadata.items()):
        wrong("metadata", expected)
    return metadata


def _is_pair(name: str, value: Any) -> bool:
    if not (isinstance(value, str) and _is_text(name + value)):
        return False
    return len(name) <= _NAME_CHARACTERS and len(value) <= _VALUE_CHARACTERS


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= one <= "\udfff" for one in value)


def _place(body: Mapping[str, Any]) -> tuple[SessionId | None, int | None]:
    previous = member(body, "previous_response_id", str, "a string")
    conversation = body.get("conversation")
    if previous is not None and conversation is not None:
        why = "'previous_response_id' and 'conversation' exclude each other."
        raise BadRequest("body_invalid", why, field="previous_response_id")
    if previous is not None:
        return _previous(previous)
    if conversation is None:
        return None, None
    return _conversation(conversation), None


def _previous(name: str) -> tuple[SessionId, int]:
    with continuing():
        return named_response(name)


@contextmanager
def continuing() -> Iterator[None]:
    """Within it a turn that is not there is the previous response that was named."""
    try:
        yield
    except TurnNotFound:
        raise previous_not_found() from None


def previous_not_found() -> BadRequest:
    """There is no response that could be continued."""
    why = "The previous response is not there, or has been forgotten."
    return BadRequest("previous_response_not_found", why, field="previous_response_id")


def _conversation(conversation: Any) -> SessionId:
    if isinstance(conversation, dict):
        conversation = required(conversation, "id", str, "a string", "conversation.")
    if not isinstance(conversation, str):
        wrong("conversation", "an id or an object with one")
    return named_conversation(conversation)


def _echo(body: Mapping[str, Any], session_id: SessionId | None) -> dict[str, Any]:
    given_metadata(body)
    echo = {name: body[name] for name in ECHOED if body.get(name) not in (None, {}, [])}
    if not echo.get("background"):
        echo.pop("background", None)
    if body.get("conversation") is not None and session_id is not None:
        echo["conversation"] = {"id": conversation_name(session_id)}
    return echo
