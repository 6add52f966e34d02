"""Tries a hook with a sample question, and says in plain words what its answer means."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import msgspec
from attrs import evolve

from adapters.outgoing_http.server_problem import ServerProblem
from adapters.turn_hook.hook_answer import InvalidAnswer
from adapters.turn_hook.hook_bodies import AnsweredOptions
from adapters.turn_hook.hook_connection import MAX_ANSWER_BYTES
from adapters.turn_hook.hook_sample import sample_question
from adapters.turn_hook.hook_server import HookServer
from adapters.turn_hook.http_hook import open_hook
from adapters.turn_hook.tool_warnings import tool_warnings
from domain.model.message import utf8_length
from domain.model.preparation import Preparation
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.model.tool_settings import ToolSettings
from ports.clock import Clock
from ports.findings import Finding, Level
from ports.turn_hook import HookAnswerInvalid, HookError, HookTimedOut

_REFUSED_SIGNATURE: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NO_SUCH_PATH: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_SIGNATURE: Final = "signature"
_CHECK_URL: Final = "Check PRIVITY_HOOK_URL, and the firewall."
_BY_REASON: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "host-not-found": ("its host name is not found", "Correct the host in PRIVITY_HOOK_URL."),
        "refused": (
            "nothing listens there",
            "Start the hook, or correct the host and port in PRIVITY_HOOK_URL.",
        ),
        "unreachable": ("the network does not reach it", _CHECK_URL),
        "timeout": ("it does not accept a connection in time", _CHECK_URL),
        "closed": (
            "it closed the connection without an answer",
            "Look at its log. If it uses TLS, PRIVITY_HOOK_URL must begin with https://.",
        ),
        "not-http": ("it does not answer with HTTP/1.1", _CHECK_URL),
        "no-tls": ("it does not use TLS", "Use http:// in PRIVITY_HOOK_URL, or set up TLS."),
        "tls-failed": ("TLS failed", "Check the TLS settings of the hook."),
        "certificate-not-trusted": (
            "its certificate is not trusted",
            "Set PRIVITY_HOOK_CA_FILE to the certificate of the authority that issued it.",
        ),
        "certificate-for-another-host": (
            "its certificate is for another host name",
            "Use a host in PRIVITY_HOOK_URL that the certificate names.",
        ),
        "certificate-expired": (
            "its certificate has expired",
            "Renew it, or check the clock of this machine.",
        ),
        "certificate-not-yet-valid": (
            "its certificate is not valid yet",
            "Check the clock of this machine.",
        ),
        "certificate-invalid": ("its certificate is not valid", "Check it with openssl verify."),
        "proxy-unreachable": ("the HTTP proxy cannot be reached", "Check HTTPS_PROXY."),
        "proxy-refused": (
            "the HTTP proxy refuses the connection",
            "Check HTTPS_PROXY, or set NO_PROXY.",
        ),
        "redirect": (
            "it redirects to another address",
            "Set PRIVITY_HOOK_URL to that address. Often only a / at the end is different.",
        ),
    }
)
_ANSWERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "too-large": f"the answer has more than {MAX_ANSWER_BYTES:,} bytes",
        "encoded": "the answer is compressed, although the request does not allow that",
        "content-type": "the content type of the answer is not application/json",
        "not-json": "the answer is not JSON",
    }
)
_CORRECTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "too-large": "Answer with fewer or shorter passages.",
        "encoded": "Switch compression off for this path, in the hook and in proxies before it.",
        "content-type": "Answer with the header `content-type: application/json`.",
    }
)


async def hook_findings(
    server: HookServer, clock: Clock, *, turn_id: str, in_file: ToolSettings | None = None
) -> list[Finding]:
    """What there is to say about the hook: at least one finding, with the topic ``hook``.

    The sample question is sent twice: with a valid signature, and with one that a hook must refuse.
    ``in_file``: the tools of the assistant's file; None if there is no file.
    """
    try:
        async with open_hook(server, clock) as hook:
            started_at = clock.monotonic()
            preparation = await hook.prepare(sample_question(turn_id))
            seconds = (clock.monotonic() - started_at).total_seconds()
        good = Finding(Level.GOOD, "hook", f"{server.url} answers in {seconds:.3f} seconds")
        signature = await _signature_finding(server, clock, turn_id)
        return [good, signature, *_understood(preparation), *tool_warnings(preparation, in_file)]
    except ServerProblem as problem:
        return [Finding(Level.PROBLEM, "hook", str(problem))]
    except HookError as error:
        return [_failure(server, error)]


async def _signature_finding(server: HookServer, clock: Clock, turn_id: str) -> Finding:
    """Whether the hook refuses a request that another sender has signed."""
    strange = evolve(server, keys=(b"the key of another sender",))
    try:
        async with open_hook(strange, clock) as hook:
            await hook.prepare(sample_question(turn_id))
    except HookError as error:
        status = error.details.status
        if status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return Finding(Level.GOOD, _SIGNATURE, f"it refuses a wrong one (status {status})")
        why = f"it refuses a wrong one, but not with status 401 ({status or error.details.reason})"
        return Finding(Level.WARNING, _SIGNATURE, why, "Answer 401 if the signature is not valid.")
    text = "it accepts a wrong signature, so anybody who can reach it can use it"
    advice = "Verify it with a library of Standard Webhooks (docs/pipeline.md)."
    return Finding(Level.WARNING, _SIGNATURE, text, advice)


def _failure(server: HookServer, error: HookError) -> Finding:
    text, advice = _meaning(error)
    return Finding(Level.PROBLEM, "hook", f"{server.url}: {text}", advice)


def _meaning(error: HookError) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    if isinstance(error, HookTimedOut):
        why = "no answer within PRIVITY_HOOK_TIMEOUT_SECONDS"
        return why, "Make the hook faster, or raise the setting."
    if isinstance(error, HookAnswerInvalid):
        return _of_answer(error)
    reason = error.details.reason
    return _of_status(error.details.status) if reason is None else _BY_REASON[reason]


def _of_answer(error: HookAnswerInvalid) -> tuple[str, str]:
    reason, field, cause = error.details.reason or "", error.details.field, error.__cause__
    explanation = cause.explanation if isinstance(cause, InvalidAnswer) else ""
    if field:
        return f"{field} in the answer is not valid ({reason})", explanation
    why = _ANSWERS.get(reason, f"the answer is not valid ({reason})")
    described = "docs/hook.openapi.json describes the answer."
    return why, _CORRECTIONS.get(reason) or explanation or described


def _of_status(status: int | None) -> tuple[str, str]:
    if status in _REFUSED_SIGNATURE:
        why = f"it refuses the signature (status {status})"
        return why, "Give the hook the secret in PRIVITY_HOOK_SECRET, and compare the clocks."
    if status in _NO_SUCH_PATH:
        why = f"it does not accept POST at this path (status {status})"
        return why, "Correct the path in PRIVITY_HOOK_URL."
    if status is not None and HTTPStatus.OK < status < HTTPStatus.MULTIPLE_CHOICES:
        why = f"it answers with status {status}"
        return why, "Answer with 200, or with 204 if you want nothing for this turn."
    return f"it answers with status {status}", "Look at the log of the hook."


def _understood(preparation: Preparation) -> Iterator[Finding]:
    """What the answer means, one finding for each of its members."""
    for topic, text in _members(preparation):
        yield Finding(Level.GOOD, topic, text)


def _members(preparation: Preparation) -> Iterator[tuple[str, str]]:
    if preparation.instructions:
        size = utf8_length(preparation.instructions)
        yield "instructions", f"{size:,} bytes, added after the system prompt"
    for number, passage in enumerate(preparation.passages, 1):
        where = passage.url or "without a URL"
        yield f"passage {number}", f"{passage.title}, {utf8_length(passage.text):,} bytes, {where}"
    if preparation.reply is None:
        yield "reply", "none, so the model is asked"
    else:
        size = utf8_length(preparation.reply)
        yield "reply", f"{size:,} bytes; the model is not asked"
    yield from _tools_and_options(preparation)
    yield "state", _state(preparation)


def _tools_and_options(preparation: Preparation) -> Iterator[tuple[str, str]]:
    if preparation.offered is not None:
        yield "tools of the file", ", ".join(sorted(preparation.offered)) or "none"
    if preparation.tools:
        yield "tools of the hook", ", ".join(tool.name for tool in preparation.tools)
    chosen = [*_options(preparation.options)]
    if chosen:
        yield "options", ", ".join(chosen)


def _options(options: ReplyOptions) -> Iterator[str]:
    """The options that the answer sets, with the names that they have in it."""
    for member in msgspec.structs.fields(AnsweredOptions):
        value = getattr(options, member.name)
        if value != getattr(DEFAULT_OPTIONS, member.name):
            is_text = isinstance(value, str)
            # The name of a chosen tool begins with a sign of equality.
            shown = value.removeprefix("=") if is_text else msgspec.json.encode(value).decode()
            yield f"{member.encode_name} {shown}"


def _state(preparation: Preparation) -> str:
    if not preparation.changes_state:
        return "stays as it is"
    return "removed" if preparation.state is None else f"{utf8_length(preparation.state):,} bytes"
