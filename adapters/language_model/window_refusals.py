"""A prompt that is too long for the model: how servers say so, and the numbers they name.

Only whole numbers are taken from a response, because its text may repeat the prompt. None is taken
if the prompt itself has such a wording: the number could be a caller's.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from domain.model.budget import MAX_PROMPT_TOKENS, MIN_PROMPT_TOKENS
from ports.language_model import ContextExceeded

# The wordings of OpenAI, Azure, vLLM, SGLang, llama.cpp, LM Studio, Mistral, Groq, OpenRouter,
# Anthropic and Google.
_TOO_LONG: Final = re.compile(
    r"context_length_exceeded|maximum context length|maximum model length|exceed_context_size|"
    r"context size|context window|context length of|model's context length|prompt is too long|"
    r"too large for model|request_too_large|input token count",
    re.IGNORECASE,
)
_NUMBER: Final = r"([0-9]{1,8})\b"
_WINDOWS: Final = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        rf"maximum (?:context|model) length (?:is|of) {_NUMBER}",
        rf"context window of (?:only )?{_NUMBER}",
        rf"context length of (?:only )?{_NUMBER}",
        rf"context (?:length|size) \({_NUMBER} tokens\)",
        rf"too large for model with {_NUMBER}",
        rf"tokens allowed \({_NUMBER}\)",
        rf"> {_NUMBER} maximum",
    )
)
_PROMPTS: Final = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        rf"\b{_NUMBER} in the messages",
        rf"\b{_NUMBER} of text input",
        rf"\b{_NUMBER} tokens from the input messages",
        rf"has {_NUMBER} input tokens",
        rf"resulted in {_NUMBER} tokens",
        rf"(?:request|input) \({_NUMBER} tokens\)",
        rf"prompt \(length {_NUMBER}\)",
        rf"contains {_NUMBER} tokens",
        rf"too long: {_NUMBER} tokens",
        rf"token count \({_NUMBER}\)",
    )
)
_ESCAPE: Final = re.compile(rb"\\+u00([0-7][0-9a-fA-F])")


def is_too_long(text: str) -> bool:
    """Whether an error with this text says that the prompt is too long."""
    return bool(_TOO_LONG.search(text))


def context_exceeded(error: Any, text: str) -> ContextExceeded:
    """The refusal, with the numbers in the members of ``error``, or else in its ``text``."""
    members = error if isinstance(error, dict) else {}
    window = _whole(members.get("n_ctx")) or _first(_WINDOWS, text)
    return ContextExceeded(
        window=window if window and window >= MIN_PROMPT_TOKENS else None,
        prompt_tokens=_whole(members.get("n_prompt_tokens")) or _first(_PROMPTS, text),
    )


def has_numbers(request: bytes) -> bool:
    """Whether a request has the wording of a refusal with a number, so that an error may repeat it.

    Escapes count as what they stand for, because a server may repeat them decoded.
    """
    decoded = _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), request)
    text = decoded.decode("utf-8", "replace")
    return any(pattern.search(text) for pattern in (*_WINDOWS, *_PROMPTS))


def _first(patterns: Sequence[re.Pattern[str]], text: str) -> int | None:
    """The number in the first of these wordings that the text has."""
    found = next(filter(None, (pattern.search(text) for pattern in patterns)), None)
    return _whole(int(found[1])) if found else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int and 0 < value <= MAX_PROMPT_TOKENS else None
