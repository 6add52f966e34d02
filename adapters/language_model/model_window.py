"""Asks the model's server for the size of the model's context window.

    vLLM, SGLang      GET  /v1/models       max_model_len
    llama.cpp         GET  /v1/models       meta.n_ctx; older versions: GET /props, n_ctx of a slot
    Mistral           GET  /v1/models       max_context_length
    Groq              GET  /v1/models       context_window
    OpenRouter        GET  /v1/models       context_length, and that of its provider
    Ollama            GET  /api/ps          context_length, if the model is loaded
                      POST /api/show        num_ctx, if the model's file sets it
    LM Studio         GET  /api/v0/models   loaded_context_length, if the model is loaded
    LiteLLM           GET  /model/info      max_input_tokens

Other servers do not say. Only whole numbers are taken from a response.
"""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import ClientError
from msgspec import Struct

from adapters.language_model.model_server import (
    ModelConnection,
    ModelServer,
    open_connection,
)
from adapters.outgoing_http.server_problem import ServerProblem
from domain.model.budget import MAX_PROMPT_TOKENS, MIN_PROMPT_TOKENS
from ports.context_window import UNREACHABLE, StatedWindow

_TIMEOUT: Final = timedelta(seconds=10)
_MAX_BYTES: Final = 8_000_000
_BUSY: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_DEFAULT_TOKENS: Final = 4_096
"""What Ollama and LM Studio load a model with, unless told otherwise. Ollama takes more on machines
with much graphics memory, but says so only once the model is loaded."""

_NUM_CTX: Final = re.compile(r"^num_ctx\s+([0-9]{1,9})\s*$", re.MULTILINE)
_DOCUMENT = TypeVar("_DOCUMENT")


class _Meta(Struct):
    n_ctx: Any = None


class _Provider(Struct):
    context_length: Any = None


class _Model(Struct):
    """A model in a list, with what different servers say about its window."""

    id: Any = None
    max_model_len: Any = None
    max_context_length: Any = None
    loaded_context_length: Any = None
    context_window: Any = None
    context_length: Any = None
    meta: _Meta | None = None
    top_provider: _Provider | None = None


class _Models(Struct):
    data: list[_Model]


class _LoadedModel(Struct):
    name: Any = None
    model: Any = None
    context_length: Any = None


class _LoadedModels(Struct):
    models: list[_LoadedModel]


class _ShownModel(Struct):
    parameters: str = ""
    model_info: dict[str, Any] = {}


class _Settings(Struct):
    n_ctx: Any = None


class _Properties(Struct):
    default_generation_settings: _Settings


class _ModelInfo(Struct):
    max_input_tokens: Any = None


class _Deployment(Struct):
    model_name: Any = None
    model_info: _ModelInfo | None = None


class _Deployments(Struct):
    data: list[_Deployment]


class _NotReady(Exception):
    """The server may say more later."""


class ServerWindow:
    """The context window of the model on an OpenAI-compatible server."""

    def __init__(self, connection: ModelConnection, server: ModelServer) -> None:
        """The connection is not closed here."""
        self._connection = connection
        self._name = server.name
        self._base_url = server.base_url.rstrip("/")
        self._root = self._base_url.removesuffix("/v1")

    async def read(self) -> StatedWindow:
        """See ``ports.context_window.ContextWindow.read``."""
        try:
            async with asyncio.timeout(_TIMEOUT.total_seconds()):
                return await self._read()
        except (ClientError, TimeoutError, _NotReady):
            return UNREACHABLE

    async def _read(self) -> StatedWindow:
        listed = await self._listed()
        if listed is not None:
            return StatedWindow(tokens=listed)
        others = await asyncio.gather(
            self._of_ollama(), self._of_llama_cpp(), self._of_lm_studio(), self._of_litellm()
        )
        return next((stated for stated in others if stated is not None), StatedWindow())

    async def _listed(self) -> int | None:
        """What the list of models says.

        Raises:
            _NotReady: the server does not list its models now.
        """
        status, content = await self._fetch(f"{self._base_url}/models")
        if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _NotReady
        listed = _decoded(status, content, _Models)
        models = listed.data if listed else _decoded(status, content, list[_Model])
        model = _named(self._name, models or [])
        if model is None:
            return None
        own = (model.max_model_len, model.max_context_length, model.context_window)
        provider = model.top_provider.context_length if model.top_provider else None
        n_ctx = model.meta.n_ctx if model.meta else None
        return _lowest(*own, model.context_length, provider, n_ctx)

    async def _of_ollama(self) -> StatedWindow | None:
        running = await self._get("/api/ps", _LoadedModels)
        if running is None:
            return None
        names = {self._name, f"{self._name}:latest"}
        loaded = [model for model in running.models if {model.name, model.model} & names]
        if tokens := _lowest(*(model.context_length for model in loaded)):
            return StatedWindow(tokens=tokens)
        body = msgspec.json.encode({"model": self._name})
        shown = await self._get("/api/show", _ShownModel, body=body)
        if shown is None:
            return None
        chosen = _NUM_CTX.search(shown.parameters)
        if chosen and (tokens := _lowest(int(chosen[1]))):
            return StatedWindow(tokens=tokens)
        info = shown.model_info.items()
        longest = [value for name, value in info if name.endswith(".context_length")]
        return StatedWindow(tokens=_lowest(_DEFAULT_TOKENS, *longest), is_final=bool(loaded))

    async def _of_llama_cpp(self) -> StatedWindow | None:
        properties = await self._get("/props", _Properties)
        tokens = properties and _lowest(properties.default_generation_settings.n_ctx)
        return StatedWindow(tokens=tokens) if tokens else None

    async def _of_lm_studio(self) -> StatedWindow | None:
        models = await self._get("/api/v0/models", _Models)
        model = _named(self._name, models.data if models else [])
        if model is None:
            return None
        if tokens := _lowest(model.loaded_context_length):
            return StatedWindow(tokens=tokens)
        return StatedWindow(
            tokens=_lowest(_DEFAULT_TOKENS, model.max_context_length), is_final=False
        )

    async def _of_litellm(self) -> StatedWindow | None:
        deployments = await self._get("/model/info", _Deployments)
        listed = deployments.data if deployments else []
        infos = [one.model_info for one in listed if one.model_name == self._name]
        tokens = _lowest(*(info.max_input_tokens for info in infos if info))
        return StatedWindow(tokens=tokens) if tokens else None

    async def _get(
        self, path: str, kind: type[_DOCUMENT], *, body: bytes = b""
    ) -> _DOCUMENT | None:
        """The document at ``path`` of the server; None if there is none of this kind.

        Raises:
            ClientError, TimeoutError: there is no response.
        """
        status, content = await self._fetch(f"{self._root}{path}", body)
        return _decoded(status, content, kind)

    async def _fetch(self, url: str, body: bytes = b"") -> tuple[int, bytes]:
        return await self._connection.fetch(url, body=body, at_most=_MAX_BYTES)


async def window_at(server: ModelServer) -> StatedWindow:
    """What ``server`` states about the window of its model, over a connection of its own."""
    try:
        async with open_connection(server) as connection:
            return await ServerWindow(connection, server).read()
    except ServerProblem:
        return UNREACHABLE


def _decoded(status: int, content: bytes, kind: type[_DOCUMENT]) -> _DOCUMENT | None:
    if status != HTTPStatus.OK:
        return None
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _named(name: str, models: list[_Model]) -> _Model | None:
    """The model with this name, or the only one: llama.cpp accepts any name."""
    named = [model for model in models if model.id == name]
    return next(iter(named or (models if len(models) == 1 else ())), None)


def _lowest(*values: Any) -> int | None:
    """The lowest possible size of a window among ``values``; None if none is one."""
    sizes = list(_sizes(values))
    return min(sizes) if sizes else None


def _sizes(values: tuple[Any, ...]) -> Iterator[int]:
    for value in values:
        if type(value) is int and value >= MIN_PROMPT_TOKENS:
            yield min(value, MAX_PROMPT_TOKENS)
