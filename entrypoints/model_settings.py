"""The settings of the language model and of the assistant."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from attrs import Factory, frozen

from entrypoints.limit_settings import LimitSettings
from entrypoints.setting_types import (
    ALLOW,
    FLAG,
    PATH,
    TEXT,
    URL,
    seconds,
    setting,
    whole_number,
)

_REPLY_TOKENS: Final = 4_096
"""Enough for a model that thinks before it answers."""


def _default_reply_tokens(settings: "ModelSettings") -> int:
    return min(_REPLY_TOKENS, settings.model_context_tokens // 2)


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
        "`allow` permits plaintext to a model server on another machine, for example on a private "
        "network.",
        shown="",
    )
    model_api_key: str | None = setting(
        "MODEL_API_KEY",
        TEXT,
        None,
        "API key for the model server, sent as a bearer token.",
        secret=True,
    )
    model_name: str | None = setting("MODEL_NAME", TEXT, None, "Name of the model.")
    model_images: bool = setting(
        "MODEL_IMAGES",
        FLAG,
        False,
        "`true` if the model takes images. Users can then send them; otherwise they are refused.",
        shown="false",
    )
    model_context_tokens: int = setting(
        "MODEL_CONTEXT_TOKENS",
        whole_number(256, 10_000_000),
        8_192,
        "Context window of the model, in tokens (prompt and reply together).",
    )
    model_reply_tokens: int = setting(
        "MODEL_REPLY_TOKENS",
        whole_number(16, 1_000_000),
        Factory(_default_reply_tokens, takes_self=True),
        "Maximum tokens per reply, reasoning included. A reply also ends at 262,144 bytes, about "
        "60,000 tokens.",
        shown="4096, but at most half of MODEL_CONTEXT_TOKENS",
    )
    model_connect_timeout: timedelta = setting(
        "MODEL_CONNECT_SECONDS",
        seconds(0.1, 60),
        timedelta(seconds=5),
        "Connect timeout for the model server.",
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
