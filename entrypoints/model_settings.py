"""The settings of the language model and of the assistant."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from attrs import Factory, frozen

from domain.model.budget import MAX_PROMPT_TOKENS, MIN_PROMPT_TOKENS
from entrypoints.limit_settings import LimitSettings
from entrypoints.setting_types import (
    ALLOW,
    API_KEY,
    EFFORT,
    FLAG,
    JSON_OBJECT,
    PATH,
    TEXT,
    number,
    seconds,
    setting,
    whole_number,
)
from entrypoints.url_settings import URL

_OWN_SETTINGS: Final = {
    "model": "MODEL_NAME",
    "max_tokens": "MODEL_REPLY_TOKENS",
    "max_completion_tokens": "MODEL_REPLY_TOKENS",
    "temperature": "MODEL_TEMPERATURE",
    "top_p": "MODEL_TOP_P",
    "reasoning_effort": "MODEL_REASONING_EFFORT",
}
_RESERVED: Final = (
    *("messages", "stream", "stream_options", "store", "n", "response_format", "modalities"),
    *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"),
)
"""Members of a request that the service or the caller decides."""

_REPLY_TOKENS: Final = 4_096
"""Enough for a model that thinks before it answers."""


def _default_reply_tokens(settings: "ModelSettings") -> int:
    window = settings.model_context_tokens
    return _REPLY_TOKENS if window is None else min(_REPLY_TOKENS, window // 2)


@frozen(kw_only=True)
class ModelSettings(LimitSettings):
    """The model's server, its time-outs and the assistant's file, and the limits."""

    model_base_url: str | None = setting(
        "MODEL_BASE_URL",
        URL,
        None,
        "Base URL of an OpenAI-compatible server, up to and including /v1.",
        shown="the built-in script",
    )
    model_plaintext: bool = setting(
        "MODEL_PLAINTEXT",
        ALLOW,
        False,
        "`allow` permits plaintext to a model's server on another machine, for example on a "
        "private network.",
        shown="",
    )
    model_api_key: str | None = setting(
        "MODEL_API_KEY",
        API_KEY,
        None,
        "API key for the model's server, sent as a bearer token.",
        secret=True,
    )
    model_ca_file: Path | None = setting(
        "MODEL_CA_FILE",
        PATH,
        None,
        "CA certificates for verifying the model's server (PEM).",
        shown="the system's",
    )
    model_name: str | None = setting("MODEL_NAME", TEXT, None, "Name of the model.")
    model_images: bool = setting(
        "MODEL_IMAGES",
        FLAG,
        False,
        "`true` if the model takes images. Users can then send them; otherwise they are refused.",
        shown="false",
    )
    model_context_tokens: int | None = setting(
        "MODEL_CONTEXT_TOKENS",
        whole_number(MIN_PROMPT_TOKENS, MAX_PROMPT_TOKENS),
        None,
        "Context window of the model, in tokens (prompt and reply together).",
        shown="what the model's server states, else 8192",
    )
    model_reply_tokens: int = setting(
        "MODEL_REPLY_TOKENS",
        whole_number(16, 1_000_000),
        Factory(_default_reply_tokens, takes_self=True),
        "Maximum tokens per reply, reasoning included. A reply also ends at 262,144 bytes, about "
        "60,000 tokens.",
        shown="4096, but at most half of the context window",
    )
    model_temperature: float | None = setting(
        "MODEL_TEMPERATURE",
        number(0, 2),
        None,
        "Temperature of replies, unless a caller on `/v1` sets another.",
        shown="the server's",
    )
    model_top_p: float | None = setting(
        "MODEL_TOP_P",
        number(0, 1),
        None,
        "`top_p` of replies, unless a caller on `/v1` sets another.",
        shown="the server's",
    )
    model_reasoning_effort: str | None = setting(
        "MODEL_REASONING_EFFORT",
        EFFORT,
        None,
        "How much the model thinks before it answers, unless a caller on `/v1` sets it.",
        shown="the server's",
    )
    model_options: str | None = setting(
        "MODEL_OPTIONS",
        JSON_OBJECT,
        None,
        "Other members of each request to the model's server, "
        '`{"chat_template_kwargs": {"enable_thinking": false}}` for example.',
    )
    model_check: bool = setting(
        "MODEL_CHECK",
        FLAG,
        True,
        "`false` skips the check of the model's server at startup.",
        shown="true",
    )
    model_connect_timeout: timedelta = setting(
        "MODEL_CONNECT_SECONDS",
        seconds(0.1, 60),
        timedelta(seconds=5),
        "Connect timeout for the model's server.",
    )
    model_first_piece_timeout: timedelta = setting(
        "MODEL_FIRST_PIECE_SECONDS",
        seconds(1, 600),
        timedelta(seconds=60),
        "Maximum wait from the request to the first piece (chunk) of the reply.",
    )
    model_silence_timeout: timedelta = setting(
        "MODEL_SILENCE_SECONDS",
        seconds(1, 600),
        timedelta(seconds=30),
        "Maximum silence between two pieces of a reply.",
    )
    assistant_file: Path | None = setting(
        "ASSISTANT_FILE",
        PATH,
        None,
        "TOML file with the assistant's prompt and welcome messages, and the prices of models.",
        shown="a neutral assistant",
    )
    summaries: bool = setting(
        "PRIVITY_SUMMARIES",
        FLAG,
        True,
        "`false` stops the model from summarising messages that it no longer sees.",
        shown="true",
    )

    @property
    def request_options(self) -> dict[str, Any]:
        """The members that the operator adds to each request to the model's server."""
        own = {
            "temperature": self.model_temperature,
            "top_p": self.model_top_p,
            "reasoning_effort": self.model_reasoning_effort,
        }
        other = msgspec.json.decode(self.model_options or "{}")
        return {**other, **{name: value for name, value in own.items() if value is not None}}

    @property
    def option_problems(self) -> Iterator[str]:
        """A sentence for each member of ``MODEL_OPTIONS`` that is not possible there."""
        for name in msgspec.json.decode(self.model_options or "{}"):
            if name in _OWN_SETTINGS:
                yield f"MODEL_OPTIONS: use {_OWN_SETTINGS[name]} instead of {name}."
            elif name in _RESERVED:
                yield f"MODEL_OPTIONS: remove {name}, which Privity decides itself."
