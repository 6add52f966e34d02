"""The JSON bodies of a request to the hook and of its answer.

``docs/hook.openapi.json`` is generated from these types.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain.model.limits import (
    MAX_HOOK_STATE_BYTES,
    MAX_PASSAGES,
    MAX_PASSAGES_BYTES,
    MAX_TOOLS_BYTES,
)
from domain.model.preparation import Question
from domain.model.prompt import TOOL_NAME, Effort, Verbosity

MAX_INSTRUCTIONS_BYTES: Final = 32_768
MAX_HOOK_REPLY_BYTES: Final = 65_536
MAX_TITLE_CHARACTERS: Final = 300
MAX_URL_CHARACTERS: Final = 2_048
MAX_TOOLS: Final = 128
MAX_DESCRIPTION_CHARACTERS: Final = 4_096
_MAX_STOP_TEXTS: Final = 4
_MAX_SEED: Final = 2**63 - 1
_TOOL_NAME: Final = rf"^{TOOL_NAME}$(?!\n)"
"""A regular expression of Python's and of JSON Schema's. Python's ``$`` may precede a newline."""


class NewMessage(Struct, kw_only=True):
    """The newest message of the user."""

    text: str
    images: Annotated[
        int, Meta(ge=0, description="How many images the message has; the hook does not get them.")
    ]


class EarlierMessage(Struct, kw_only=True):
    """A message before the newest message of the user."""

    role: Literal["user", "assistant", "system", "developer"]
    text: str


class QuestionBody(Struct, rename="camel", kw_only=True):
    """What the hook is asked about one turn."""

    turn_id: Annotated[
        str,
        Meta(
            description="The id of the turn, as in `webhook-id`. It is the same in a repeated "
            "request."
        ),
    ]
    conversation: Annotated[
        str,
        Meta(
            description="A digest that stands for the conversation, the same in all of its turns. "
            "It means nothing outside the hook."
        ),
    ]
    turn: Annotated[
        int, Meta(ge=1, description="The number of the turn in the conversation, from 1.")
    ]
    kind: Annotated[
        Literal["message", "regenerate", "continue", "tool-results"],
        Meta(description="Why the model is about to be asked."),
    ]
    locale: Annotated[str, Meta(description="BCP 47 tag of the user's language.")]
    message: NewMessage
    page_context: Annotated[Any, Meta(description="JSON about the page the user is on, or null.")]
    messages: Annotated[
        list[EarlierMessage],
        Meta(
            description="Messages before the newest message of the user, oldest first; at most as "
            "many as PRIVITY_HOOK_MESSAGES."
        ),
    ]
    summary: Annotated[
        str | None,
        Meta(
            description="Summary of the messages that the model no longer sees, or null. It does "
            "not depend on PRIVITY_HOOK_MESSAGES."
        ),
    ]
    state: Annotated[
        Any, Meta(description="The newest `state` that the hook has answered with, or null.")
    ]


class AnsweredPassage(Struct, kw_only=True, forbid_unknown_fields=True):
    """A text that the model is given for this turn. It becomes a source of the reply."""

    title: Annotated[str, Meta(min_length=1, max_length=MAX_TITLE_CHARACTERS)]
    text: Annotated[str, Meta(min_length=1)]
    url: Annotated[
        str | None,
        Meta(description="An http or https URL where people can read it."),
    ] = None


class AnsweredTool(Struct, kw_only=True, forbid_unknown_fields=True):
    """A tool that the model may call and the client runs."""

    name: Annotated[str, Meta(pattern=_TOOL_NAME)]
    description: Annotated[str, Meta(max_length=MAX_DESCRIPTION_CHARACTERS)] | None = None
    parameters: Annotated[
        Raw | UnsetType,
        Meta(
            description='JSON Schema of the arguments, with `"type": "object"`. Without it, the '
            "tool has no arguments.",
            extra_json_schema={
                "type": "object",
                "properties": {"type": {"const": "object"}},
                "required": ["type"],
            },
        ),
    ] = UNSET


class ChosenTool(Struct, kw_only=True, forbid_unknown_fields=True):
    """The tool that the model must call."""

    name: Annotated[str, Meta(pattern=_TOOL_NAME)]


class AnsweredOptions(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Options of the reply. An option that the caller has set takes precedence."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: Annotated[int, Meta(ge=-_MAX_SEED, le=_MAX_SEED)] | None = None
    stop: Annotated[list[str], Meta(max_length=_MAX_STOP_TEXTS)] | None = None
    reply_tokens: Annotated[int, Meta(ge=1)] | None = None
    effort: Effort | None = None
    verbosity: Verbosity | None = None
    tool_choice: Literal["auto", "none", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None


class AnswerBody(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What the hook wants for this turn. Every member is optional. With 204, there is no body."""

    instructions: Annotated[
        str | None,
        Meta(
            description="Added after the assistant's system prompt, for this turn. At most "
            f"{MAX_INSTRUCTIONS_BYTES:,} bytes."
        ),
    ] = None
    passages: Annotated[
        Annotated[list[AnsweredPassage], Meta(max_length=MAX_PASSAGES)] | None,
        Meta(
            description="Texts for the model, best first. Together at most "
            f"{MAX_PASSAGES_BYTES:,} bytes."
        ),
    ] = None
    reply: Annotated[
        str | None,
        Meta(
            description="The whole reply; the model is then not asked. At most "
            f"{MAX_HOOK_REPLY_BYTES:,} bytes."
        ),
    ] = None
    tools: Annotated[
        Annotated[
            list[Annotated[str, Meta(pattern=_TOOL_NAME)] | AnsweredTool],
            Meta(max_length=MAX_TOOLS),
        ]
        | None,
        Meta(
            description="The tools that the model may call. A name stands for a tool that the "
            "assistant's file declares or that one of its tool servers has. A definition adds a "
            "tool, which the client runs. If it is left out, the model may call all tools of the "
            f"file and its servers. At most {MAX_TOOLS_BYTES:,} bytes."
        ),
    ] = None
    options: AnsweredOptions | None = None
    state: Annotated[
        Raw | UnsetType,
        Meta(
            description="Any JSON. It is kept with the conversation and sent with its next turn. "
            "Null removes the state. If the member is left out, the state stays as it is. At most "
            f"{MAX_HOOK_STATE_BYTES:,} bytes."
        ),
    ] = UNSET


_ENCODER: Final = msgspec.json.Encoder()
_NULL: Final = Raw(b"null")


def question_body(question: Question) -> bytes:
    """The body of a request."""
    return _ENCODER.encode(
        QuestionBody(
            turn_id=question.turn_id,
            conversation=question.conversation,
            turn=question.turn,
            kind=question.kind.value,
            locale=question.locale,
            message=NewMessage(text=question.message, images=question.images),
            page_context=_json(question.page_context),
            messages=[
                EarlierMessage(role=earlier.role.value, text=earlier.text)
                for earlier in question.earlier
            ],
            summary=question.summary,
            state=_json(question.state),
        )
    )


def _json(text: str | None) -> Raw:
    return _NULL if text is None else Raw(text.encode())
