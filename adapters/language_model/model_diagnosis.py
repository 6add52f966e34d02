"""What a failure of the model's server means, in one plain sentence with advice."""

import difflib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import frozen

from adapters.language_model.model_server import ModelServer
from adapters.outgoing_http.loopback import is_loopback
from ports.findings import Finding, Level
from ports.language_model import (
    ContentFiltered,
    ContextExceeded,
    MalformedStream,
    ModelBusy,
    ModelError,
    ModelRejectedCredentials,
    ModelRejectedRequest,
    ModelTimedOut,
)

_SHOWN_NAMES: Final = 10
_COMPARED_NAMES: Final = 2_000
"""More than any provider has; the comparison takes some time for each."""

_NAME_MAX_LENGTH: Final = 100
_DOCKER_HOST: Final = "host.docker.internal"
_NO_CREDIT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_UNKNOWN_MODEL: Final = frozenset(
    {"model_not_found", "NotFoundError", "DeploymentNotFound", "invalid_model"}
)
_MAY_BE_THE_MODEL: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "temperature": "MODEL_TEMPERATURE",
        "top_p": "MODEL_TOP_P",
        "reasoning_effort": "MODEL_REASONING_EFFORT",
    }
)
"""The settings of the operator's parameters; all others come from MODEL_OPTIONS."""

_PROXY_HINT: Final = "If this network needs an HTTP proxy, set HTTPS_PROXY."
_BY_REASON: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "unreachable": (
            "the network does not reach the server",
            f"Check the host in MODEL_BASE_URL. {_PROXY_HINT}",
        ),
        "timeout": (
            "the server does not accept the connection in time",
            f"Check the host and port in MODEL_BASE_URL, and the firewall. {_PROXY_HINT}",
        ),
        "not-http": (
            "the server does not answer with HTTP",
            "Check the host and port in MODEL_BASE_URL: another program answers there.",
        ),
        "no-tls": (
            "the server does not use TLS",
            "Use http:// instead of https:// in MODEL_BASE_URL.",
        ),
        "tls-failed": ("TLS failed", "Check the TLS settings of the model's server."),
        "certificate-not-trusted": (
            "the certificate of the server is not trusted",
            "Set MODEL_CA_FILE to the certificate of the authority that issued it.",
        ),
        "certificate-for-another-host": (
            "the certificate of the server is for another host name",
            "Use a host in MODEL_BASE_URL that the certificate names.",
        ),
        "certificate-expired": (
            "the certificate of the server has expired",
            "Renew it, or check the clock of this machine.",
        ),
        "certificate-not-yet-valid": (
            "the certificate of the server is not valid yet",
            "Check the clock of this machine.",
        ),
        "certificate-invalid": (
            "the certificate of the server is not valid",
            "Check it with openssl verify.",
        ),
        "error-in-stream": (
            "the reply ended with an error",
            "Look into the log of the model's server.",
        ),
    }
)

_BY_ERROR: Final = (
    (
        ModelTimedOut,
        "no reply within MODEL_FIRST_PIECE_SECONDS",
        "If the server has to load the model first, wait, or raise MODEL_FIRST_PIECE_SECONDS.",
    ),
    (
        ContextExceeded,
        "MODEL_REPLY_TOKENS is too high for the context window of the model",
        "Lower MODEL_REPLY_TOKENS, and set MODEL_CONTEXT_TOKENS to the server's window.",
    ),
    (
        ContentFiltered,
        "the content filter of the server refuses a greeting",
        "Check its filter.",
    ),
    (
        MalformedStream,
        "the server does not stream its reply in OpenAI's format",
        "Check that MODEL_BASE_URL is that of an OpenAI-compatible server.",
    ),
    (
        ModelRejectedRequest,
        "the server rejects the request as invalid",
        "Look into the log of the model's server for the reason.",
    ),
)


@frozen(kw_only=True)
class Listing:
    """The answer to a request for the list of models.

    Attributes:
        status: None if there was no response.
        reason: a word for why there was no response; None if there was one.
        names: None if the response is not a list of models.
    """

    status: int | None = None
    reason: str | None = None
    names: tuple[str, ...] | None = None


_Meaning: TypeAlias = tuple[Level, str, str]
"""The level, what is wrong (the end of a sentence), and what to do about it."""


def diagnosis(
    server: ModelServer, failure: ModelError, listing: Listing, better_url: str | None = None
) -> Finding:
    """What ``failure`` of a reply means.

    ``listing`` is the answer at the server's base URL; ``better_url`` is one that lists models, if
    the base URL does not.
    """
    level, text, advice = (
        _of_connection(server, failure)
        or _of_model_name(server, failure, listing)
        or _of_address(server, failure, better_url)
        or _of_credentials(server, failure)
        or _of_status(failure)
        or _of_error(failure)
    )
    return Finding(level, "model", text, advice)


def _of_connection(server: ModelServer, failure: ModelError) -> _Meaning | None:
    reason = failure.details.reason or ""
    if reason in _BY_REASON:
        return Level.PROBLEM, *_BY_REASON[reason]
    if reason.startswith("proxy-"):
        return _of_proxy(server, failure)
    texts = {
        "host-not-found": f"the host name {server.host} is not found",
        "refused": "connection refused",
        "closed": "the server closed the connection without an answer",
    }
    if reason not in texts:
        return None
    return Level.PROBLEM, texts[reason], " ".join(_connection_advice(server, reason))


def _connection_advice(server: ModelServer, reason: str) -> Iterator[str]:
    if reason == "host-not-found":
        yield "Correct the host in MODEL_BASE_URL."
        if server.host == _DOCKER_HOST:
            yield f"On Linux, a container needs extra_hosts: {_DOCKER_HOST}:host-gateway."
    elif reason == "refused":
        yield "Start the model's server, or correct the host and port in MODEL_BASE_URL."
        if is_loopback(server.host):
            yield f"In a container, {server.host} is the container itself: use {_DOCKER_HOST}."
        elif server.host == _DOCKER_HOST:
            yield "The server must listen on all addresses (Ollama: OLLAMA_HOST=0.0.0.0)."
    elif server.base_url.startswith("http:"):
        yield "If the server uses TLS, MODEL_BASE_URL must begin with https://."
    else:
        yield "Look into the log of the model's server."


def _of_proxy(server: ModelServer, failure: ModelError) -> _Meaning:
    proxy, status = server.proxy, failure.details.status
    variable = proxy.variable if proxy else "HTTPS_PROXY"
    around = f"If the server can be reached without a proxy, add {server.host} to NO_PROXY."
    if failure.details.reason == "proxy-unreachable":
        text = f"the HTTP proxy in {variable} cannot be reached"
        return Level.PROBLEM, text, f"Correct {variable}. {around}"
    text = f"the HTTP proxy in {variable} refuses the connection (status {status})"
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        advice = (
            f"Put the user and password into {variable}: http://user:password@proxy.example:3128."
        )
        return Level.PROBLEM, text, advice
    return Level.PROBLEM, text, f"Allow {server.address} in the proxy. {around}"


def _of_model_name(server: ModelServer, failure: ModelError, listing: Listing) -> _Meaning | None:
    details, names = failure.details, listing.names
    is_missing = details.provider_code in _UNKNOWN_MODEL
    if names is not None:
        is_missing = server.name not in names and details.status in _MAY_BE_THE_MODEL
    if not is_missing or not isinstance(failure, ModelRejectedRequest):
        return None
    text = f"the server does not have the model {server.name}"
    compared = (names or ())[:_COMPARED_NAMES]
    shown = [name for name in compared if name.isprintable() and len(name) <= _NAME_MAX_LENGTH]
    nearest = difflib.get_close_matches(server.name, shown, _SHOWN_NAMES, cutoff=0)
    if nearest:
        return Level.PROBLEM, text, f"Set MODEL_NAME to one that it has: {', '.join(nearest)}."
    if names is not None:
        return Level.PROBLEM, text, "It lists no model at all: install or load one there first."
    return Level.PROBLEM, text, "Correct MODEL_NAME."


def _of_address(
    server: ModelServer, failure: ModelError, better_url: str | None
) -> _Meaning | None:
    details = failure.details
    status = details.status or 0
    advice = "Correct the path of MODEL_BASE_URL. For most servers it ends with /v1."
    if better_url is not None:
        advice = f"Set MODEL_BASE_URL={better_url}"
    if details.reason == "html":
        return Level.PROBLEM, "the server answers with a web page instead of JSON", advice
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        text = f"the server has no chat completions at MODEL_BASE_URL (status {status})"
        if better_url == f"{server.base_url.rstrip('/')}/v1":
            text = f"MODEL_BASE_URL lacks /v1 at its end (status {status})"
        return Level.PROBLEM, text, advice
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        text = f"the server redirects to another URL, which Privity does not follow ({status})"
        hint = " It probably begins with https://." if server.base_url.startswith("http:") else ""
        return Level.PROBLEM, text, f"Set MODEL_BASE_URL to the URL it redirects to.{hint}"
    return None


def _of_credentials(server: ModelServer, failure: ModelError) -> _Meaning | None:
    if not isinstance(failure, ModelRejectedCredentials):
        return None
    shown = _shown(failure)
    if server.api_key is None:
        return Level.PROBLEM, f"the server requires an API key{shown}", "Set MODEL_API_KEY."
    text = f"the server does not accept the API key in MODEL_API_KEY{shown}"
    advice = "Check that the key is complete, still valid, and of this provider."
    return Level.PROBLEM, text, advice


def _of_status(failure: ModelError) -> _Meaning | None:
    shown = _shown(failure)
    status, code = failure.details.status, failure.details.provider_code
    if code in _NO_CREDIT or status == HTTPStatus.PAYMENT_REQUIRED:
        advice = "Add credit to the account at the provider."
        return Level.PROBLEM, f"the account has no credit left{shown}", advice
    if isinstance(failure, ModelBusy):
        advice = "Wait, or raise the limits at the provider."
        return Level.WARNING, f"the server is busy, or limits requests{shown}", advice
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        advice = "It may still be loading the model: wait, and run privity doctor."
        return Level.WARNING, f"the server is not ready{shown}", advice
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = "Look into the log of the model's server."
        return Level.PROBLEM, f"the server failed{shown}", advice
    return None


def _of_error(failure: ModelError) -> _Meaning:
    shown, parameter = _shown(failure), failure.details.parameter
    if parameter is not None:
        name = _SETTINGS.get(parameter, "MODEL_OPTIONS")
        text = f"the server does not accept {parameter}, which {name} sets{shown}"
        return Level.PROBLEM, text, f"Remove or change it in {name}."
    for kind, text, advice in _BY_ERROR:
        if isinstance(failure, kind):
            return Level.PROBLEM, f"{text}{shown}", advice
    return Level.PROBLEM, f"{failure.code}{shown}", "Look into the log of the model's server."


def _shown(failure: ModelError) -> str:
    """Status and code, in brackets."""
    details = failure.details
    status = None if details.status is None else f"status {details.status}"
    shown = ", ".join(filter(None, (status, details.provider_code)))
    return f" ({shown})" if shown else ""
