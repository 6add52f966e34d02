"""The names of a response's parameters, their members, and what is refused by name.

A parameter or member that is not supported is refused, never ignored. Only names that are written
here appear in an error, because an error never repeats what was sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve

from domain.model.errors import InvalidInput
from domain.model.turn import TurnEnd
from entrypoints.http.openai.errors import unsupported
from entrypoints.http.problems import (
    PROBLEM_TYPES,
    BadRequest,
    Problem,
    problem_of_code,
    user_message,
)

CHAT_ONLY_PARAMETERS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "audio": None,
        "frequency_penalty": None,
        "function_call": "tool_choice",
        "functions": "tools",
        "logit_bias": None,
        "logprobs": None,
        "max_completion_tokens": "max_output_tokens",
        "max_tokens": "max_output_tokens",
        "messages": "input",
        "modalities": None,
        "n": None,
        "prediction": None,
        "presence_penalty": None,
        "reasoning_effort": "reasoning.effort",
        "response_format": "text.format",
        "seed": None,
        "stop": None,
        "verbosity": "text.verbosity",
        "web_search_options": None,
    }
)
"""Parameters of Chat Completions only, and what the Responses API has instead."""

_CHAT_DEFAULTS: Final[Mapping[str, Sequence[Any]]] = MappingProxyType(
    {
        "frequency_penalty": (0,),
        "functions": ([],),
        "logit_bias": ({},),
        "logprobs": (False,),
        "modalities": ([], ["text"]),
        "n": (1,),
        "presence_penalty": (0,),
        "response_format": ({"type": "text"},),
        "stop": ("", []),
    }
)
"""Values that change nothing, and that some clients always send. So does null."""

_MEMBERS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "reasoning": ("effort", "summary", "generate_summary"),
        "text": ("format", "verbosity"),
        "text.format": ("type", "name", "schema", "strict", "description"),
    }
)
"""The members of parameters that are objects."""

_OTHER_MEMBERS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "reasoning": ("mode", "context", "max_tokens", "budget_tokens", "enabled", "exclude"),
        "text": ("schema", "stop", "type"),
        "text.format": ("json_schema",),
    }
)
"""Members that OpenAI or other services define."""

_EMPTY: Final[Sequence[Any]] = (None, False, 0, "", [], {})

MESSAGES_SEEN: Final = "privity_messages_seen"
"""The member of a response's metadata that says how many messages the model saw; it is there only
if messages were left out, and is never stored as the client's."""

INCLUDABLE: Final = "reasoning.encrypted_content"
"""The only ``include`` that is accepted. The content is always null: this service has no need of
it, because it keeps the reasoning itself."""

_OTHER_INCLUDABLE: Final = frozenset(
    {
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "message.output_text.logprobs",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)

_OPTION_NAMES: Final = (
    "instructions",
    "parallel_tool_calls",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
)

OPTION_PARAMETERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{name: name for name in _OPTION_NAMES},
        "effort": "reasoning.effort",
        "reply_tokens": "max_output_tokens",
        "response_format": "text.format",
        "verbosity": "text.verbosity",
    }
)
"""The parameter of a response request that carries a field of ``ReplyOptions``."""

CHAT_OPTION_PARAMETERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{name: name for name in _OPTION_NAMES},
        "effort": "reasoning_effort",
        "frequency_penalty": "frequency_penalty",
        "instructions": "messages",
        "presence_penalty": "presence_penalty",
        "reply_tokens": "max_completion_tokens",
        "response_format": "response_format",
        "seed": "seed",
        "stop": "stop",
        "verbosity": "verbosity",
    }
)
"""The same for a chat completion."""


def reject_chat_parameters(members: Mapping[str, Any]) -> None:
    """Reject parameters of Chat Completions, unless their value changes nothing.

    Raises:
        BadRequest: ``parameter_unsupported``.
    """
    for name, counterpart in CHAT_ONLY_PARAMETERS.items():
        value = members.get(name)
        if value is None or value in _CHAT_DEFAULTS.get(name, ()):
            continue
        why = f"'{name}' is a parameter of Chat Completions. The Responses API "
        way = f"has '{counterpart}' instead." if counterpart else "has no such parameter."
        raise unsupported(name, why + way)


def reject_unknown_members(members: Mapping[str, Any]) -> None:
    """Reject members of ``reasoning``, ``text`` and ``text.format`` that are not supported.

    Raises:
        BadRequest: ``parameter_unsupported``.
    """
    for path, supported in _MEMBERS.items():
        value: Any = members
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping):
            _reject_members(path, value, supported)


def _reject_members(path: str, value: Mapping[str, Any], supported: Sequence[str]) -> None:
    others = [name for name in value if name not in supported and value[name] not in _EMPTY]
    if not others:
        return
    named = [f"{path}.{name}" for name in _OTHER_MEMBERS[path] if name in others]
    if named:
        raise unsupported(named[0])
    listed = ", ".join(f"'{name}'" for name in supported)
    raise unsupported(path, f"'{path}' has a member that is not supported. Supported are {listed}.")


def check_include(values: Sequence[Any]) -> None:
    """Reject an ``include`` of anything but ``INCLUDABLE``.

    Raises:
        BadRequest: ``parameter_unsupported``.
    """
    for value in values:
        if value in (None, INCLUDABLE):
            continue
        named = value if isinstance(value, str) and value in _OTHER_INCLUDABLE else "this value"
        why = f"'include' supports only '{INCLUDABLE}', not {named}."
        raise unsupported("include", why)


def problem_of_end(end: TurnEnd, parameters: Mapping[str, str] = OPTION_PARAMETERS) -> Problem:
    """The problem of a failed turn; it names the parameter that the model's server rejected."""
    code, option = end.error or "internal_error", end.rejected_option
    # A turn that another release stored may have a code that this one does not have.
    known = problem_of_code(code if code in PROBLEM_TYPES else "internal_error")
    problem = evolve(known, detail=user_message(code))
    field = parameters.get(option or "")
    if field is None:
        return problem
    why = f"The language model rejected the request because of '{field}'."
    return evolve(problem, detail=why, field=field)


@contextmanager
def naming_parameters(parameters: Mapping[str, str] = OPTION_PARAMETERS) -> Iterator[None]:
    """Report a mistake in an option of the reply as one in the parameter that carries it.

    Raises:
        BadRequest: the code of the mistake.
    """
    try:
        yield
    except InvalidInput as error:
        field = parameters.get(error.field or "")
        if field is None:
            raise
        raise BadRequest(error.problem, str(error), field=field) from None
