"""Events for operators, which never contain what people wrote. See docs/events.md."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Protocol

from attrs import frozen


class Severity(Enum):
    """How soon an operator should look at an event."""

    INFO = "info"
    """Nothing is wrong."""

    WARNING = "warning"
    """Something does not work as it should, or soon will not."""

    ERROR = "error"
    """Something is broken that does not repair itself, or something was lost."""

    AS_FOUND = "as found"
    """As bad as its field ``finding`` says: see ``ports.findings.Level``."""


@frozen
class EventType:
    """What is fixed about an event.

    Attributes:
        fields: the names of the fields that it may have.
        grouped_by: if it has any, events with the same values of these fields are logged at most
            once a minute, with their ``count`` and the other fields of the last one.
    """

    severity: Severity
    fields: frozenset[str]
    grouped_by: tuple[str, ...] = ()


def _event(severity: Severity, fields: str = "", grouped_by: str = "") -> EventType:
    groups = tuple(grouped_by.split())
    names = {*fields.split(), *groups, *(("count",) if groups else ())}
    return EventType(severity, frozenset(names), groups)


_REPLY: Final = (
    "session_id turn pieces seconds hook_seconds model input_tokens output_tokens "
    "messages_seen messages_total kept finish_reason error host status provider_code reason "
    "steps parameter"
)

EVENTS: Final[Mapping[str, EventType]] = MappingProxyType(
    {
        # Replies.
        "turn.finished": _event(Severity.INFO, _REPLY),
        "turn.interrupted": _event(Severity.INFO, _REPLY),
        "turn.gone": _event(Severity.INFO, _REPLY),
        "turn.failed": _event(Severity.WARNING, _REPLY),
        "turn.not-saved": _event(Severity.ERROR, _REPLY),
        "tool.called": _event(Severity.INFO, "server tool seconds failed reason"),
        "turn.crashed": _event(Severity.ERROR, "kind"),
        "turn.settled": _event(Severity.WARNING, "session_id pieces"),
        "turns.left-open": _event(Severity.WARNING, "turns"),
        # Conversations.
        "conversation.forgotten": _event(Severity.INFO, "session_id"),
        "conversation.unreadable": _event(Severity.ERROR, "session_id", grouped_by="reason"),
        "summary.folded": _event(
            Severity.INFO, "session_id model messages tokens input_tokens output_tokens seconds"
        ),
        "summary.failed": _event(
            Severity.WARNING,
            "session_id model host status provider_code reason parameter",
            grouped_by="error",
        ),
        # Requests.
        "request.failed": _event(Severity.ERROR, "kind at"),
        "request.refused": _event(Severity.WARNING, grouped_by="code limit"),
        "connection.refused": _event(Severity.WARNING, grouped_by="code"),
        "connections.paused": _event(Severity.ERROR, grouped_by="reason"),
        # The model's server.
        "model.check": _event(Severity.AS_FOUND, "host model finding found"),
        "model.window": _event(Severity.AS_FOUND, "finding tokens stated budget"),
        "model.prompt-refused": _event(
            Severity.WARNING, "prompt_tokens budget", grouped_by="window"
        ),
        "model.parameter-rejected": _event(Severity.WARNING, "parameter"),
        # The operator's hook.
        "hook.failed": _event(Severity.WARNING, "host status reason field", grouped_by="error"),
        "hook.unknown-tool": _event(Severity.WARNING, grouped_by="tools"),
        "hook.check": _event(Severity.AS_FOUND, "host finding found"),
        # Tool servers.
        "tools.listed": _event(Severity.INFO, "server host tools"),
        "tools.left-out": _event(Severity.WARNING, "server tools reason"),
        "tools.unavailable": _event(Severity.WARNING, "host status", grouped_by="server reason"),
        # Redis.
        "redis.setting": _event(Severity.AS_FOUND, "topic finding found advice"),
        "redis.lost": _event(Severity.WARNING, "reason"),
        "redis.away": _event(Severity.WARNING, "reason seconds failed_operations"),
        "redis.back": _event(Severity.INFO, "seconds failed_operations"),
        "store.unavailable": _event(Severity.WARNING, grouped_by="operation reason"),
        # The process.
        "background.crashed": _event(Severity.ERROR, "kind"),
        "service.started": _event(Severity.INFO, "version storage model"),
        "service.draining": _event(Severity.INFO, "turns seconds"),
        "service.stopped": _event(Severity.INFO, "seconds"),
    }
)
"""Every event. Telemetry writes no other events, and no other fields."""


class Telemetry(Protocol):
    """Records events. It never fails and never waits."""

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        """Record an event of ``EVENTS``, such as ``turn.finished``.

        Fields are ids, counts, codes and seconds only. A ``session_id`` among them is replaced by
        a keyed digest. A field that is None is left out.
        """
        ...
