r"""Parameters that the model's server rejects: how its errors name them, and what is remembered.

Servers reject parameters that they do not support, and each names them in its own way:

    OpenAI, Azure, vLLM  400 {"error": {"param": "store"}}
    OpenAI, earlier      400 {"error": {"message": "Unrecognized request argument supplied: store"}}
    Mistral, FastAPI     422 {"detail": [{"loc": ["body", "store"]}]}, also within "message"
    Gemini               400 [{"error": {"message": "Invalid JSON payload received. Unknown name
                         \"store\": Cannot find field."}}]
    Groq                 400 {"error": {"message": "property 'store' is unsupported"}}
    Cerebras             400 {"message": "store: property 'store' is unsupported"}

llama.cpp, Ollama and vLLM ignore parameters that they do not know.

An error may repeat what a client chose, such as the name of a tool. So a name counts only in the
places shown above, and only if it stands there alone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import msgspec

from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from ports.clock import Clock
from ports.telemetry import Telemetry

_SENT_ALWAYS: Final = frozenset({"store", "stream_options", "max_tokens"})
"""Parameters that this service adds to every request.

Where ``max_tokens`` is rejected, ``max_completion_tokens`` is sent instead.
"""

_HINTS: Final = frozenset({"reasoning_effort", "verbosity", "parallel_tool_calls"})
"""Parameters that a caller chooses, and that can be left out."""

_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "temperature": "temperature",
        "top_p": "top_p",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "seed": "seed",
        "stop": "stop",
        "reasoning_effort": "effort",
        "verbosity": "verbosity",
        "response_format": "response_format",
        "max_tokens": "reply_tokens",
        "max_completion_tokens": "reply_tokens",
        "tools": "tools",
        "tool_choice": "tool_choice",
        "parallel_tool_calls": "parallel_tool_calls",
    }
)
"""The field of ``ReplyOptions`` from which each parameter comes."""

_REMEMBERED_FOR: Final = timedelta(hours=1)
_NOT_SUPPORTED: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_ROOT: Final = re.compile(r"\w+")
_SENTENCE: Final = re.compile(
    r"Unrecognized request argument supplied: (\w+)"
    r'|Invalid JSON payload received\. Unknown name "(\w+)": Cannot find field\.'
    r"|(?:(?:body\.)?\w+: )?property '(?:body\.)?(\w+)' is unsupported(?:, did you mean '\w+'\?)?"
)


class ChatRejections:
    """Decides which parameters are left out of a request.

    A parameter that the server rejected is left out of later requests for an hour, and is then sent
    again. This is learned only from requests in which the caller sets no options. Otherwise one
    caller could decide what is sent for the others. Once the server has accepted a parameter that
    is always sent, that parameter is never left out again.
    """

    def __init__(self, *, clock: Clock, telemetry: Telemetry) -> None:
        """``clock`` times how long a rejection is remembered."""
        self._clock = clock
        self._telemetry = telemetry
        self._rejected_at: dict[str, timedelta] = {}
        self._accepted: frozenset[str] = frozenset()
        self._reported: frozenset[str] = frozenset()

    def remembered(self) -> frozenset[str]:
        """The parameters to leave out of the next request."""
        since = self._clock.monotonic() - _REMEMBERED_FOR
        return frozenset(name for name, at in self._rejected_at.items() if at > since)

    def removable(self, status: int, error_body: bytes) -> frozenset[str]:
        """The parameters that an error names and that can be left out of the request.

        Empty if the error is about something else.
        """
        return named_parameters(status, error_body) - self._accepted

    def request_accepted(self, options: ReplyOptions, left_out: frozenset[str]) -> None:
        """Learn from a request that was accepted without the ``left_out`` parameters."""
        accepted = _SENT_ALWAYS - left_out
        self._accepted |= accepted
        for name in accepted:
            self._rejected_at.pop(name, None)
        if options == DEFAULT_OPTIONS:
            # Only now is it clear that the server rejected just these.
            for name in (left_out & _SENT_ALWAYS) - self.remembered() - self._accepted:
                self._remember(name)

    def _remember(self, name: str) -> None:
        self._rejected_at[name] = self._clock.monotonic()
        if name not in self._reported:
            self._reported |= {name}
            self._telemetry.emit("model.parameter-rejected", parameter=name)


def named_parameters(status: int, error_body: bytes) -> frozenset[str]:
    """The parameters that can be left out, among those that an error names as its cause."""
    if status not in _NOT_SUPPORTED:
        return frozenset()
    return _paths_in(error_body) & (_SENT_ALWAYS | _HINTS)


def rejected_option(error_body: bytes, options: ReplyOptions) -> str | None:
    """The field of ``options`` that an error names as its cause; None if it names none.

    Only a field that the caller set is returned. The name is one of ours, never text of the error.
    """
    roots = (_ROOT.match(path) for path in sorted(_paths_in(error_body)))
    named = (_OPTIONS[root[0]] for root in roots if root and root[0] in _OPTIONS)
    return next((field for field in named if _is_set(options, field)), None)


def operator_parameters(names: Iterable[str], options: ReplyOptions) -> frozenset[str]:
    """Those of the operator's parameters that no option of the caller replaces."""
    return frozenset(
        name for name in names if name not in _OPTIONS or not _is_set(options, _OPTIONS[name])
    )


def rejected_parameter(error_body: bytes, names: Set[str]) -> str | None:
    """The parameter among ``names`` that an error names as its cause; None if it names none."""
    roots = (_ROOT.match(path) for path in sorted(_paths_in(error_body)))
    return next((root[0] for root in roots if root and root[0] in names), None)


def options_among(parameters: Iterable[str], options: ReplyOptions) -> tuple[str, ...]:
    """The fields of ``options`` that the caller set and that ``parameters`` carry; only hints."""
    return tuple(
        _OPTIONS[name]
        for name in sorted(_HINTS)
        if name in parameters and _is_set(options, _OPTIONS[name])
    )


def _is_set(options: ReplyOptions, field: str) -> bool:
    return bool(getattr(options, field) != getattr(DEFAULT_OPTIONS, field))


def _paths_in(error_body: bytes) -> frozenset[str]:
    try:
        return frozenset(_paths(msgspec.json.decode(error_body)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return frozenset()


def _paths(error: Any) -> Iterator[str]:
    """The paths in a request, such as ``store`` or ``tools[0].function``, that an error names."""
    match error:
        case [inner] | {"error": dict() as inner}:
            yield from _paths(inner)
        case {"message": {"detail": list() as details}} | {"detail": list() as details}:
            for detail in details:
                match detail:
                    case {"loc": ["body", *path]}:
                        yield ".".join(map(str, path))
        case dict():
            if isinstance(param := error.get("param"), str):
                yield param
            yield from _paths_in_sentence(error.get("message"))


def _paths_in_sentence(message: Any) -> Iterator[str]:
    lines = message.splitlines() if isinstance(message, str) else ()
    sentences = [_SENTENCE.fullmatch(line) for line in lines]
    if all(sentences):
        yield from (found[found.lastindex or 0] for found in sentences if found)
