"""Whether Redis lets our user do what the service does: every command, on every kind of key.

The commands are sent on keys that nothing else uses: they are deleted at once, or expire after ten
seconds if that is not permitted. What a script does is sent as a command too, because an error
inside a script does not name what is missing.
"""

import asyncio
import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen
from redis.exceptions import RedisError

from adapters.encrypted_redis.command_queue import Argument
from adapters.encrypted_redis.connection_causes import cause_of
from adapters.encrypted_redis.keys_and_scripts import (
    forgotten_key,
    lease_key,
    limit_key,
    log_key,
    state_key,
)
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.redis_errors import reason_of
from domain.model.identifiers import ProcessId, SessionId
from ports.findings import Finding, Level

KEY_PATTERNS: Final = (
    "conversation:state:*",
    "{conversation:state:*",
    "process:*",
    "{ratelimit}:*",
)
"""The keys that our Redis user must be permitted to use."""

CONNECTION_COMMANDS: Final = ("ping", "select")
"""The commands that every connection begins with."""

OPTIONAL_COMMANDS: Final = ("info", "scan", "config|get")
"""The commands that only ``privity doctor``, and some checks at startup, use."""

NO_TOUCH: Final = "client|no-touch"
"""Optional as well. Redis does not know it before version 7.2, and then rejects the whole rule."""

_LIFETIME: Final = 10_000
"""How long the keys of this check last, in ms."""

_CREATING: Final = frozenset({"rpush", "xadd", "hset"})
"""The commands that create a key without an expiry."""

_MAX_NAMED: Final = 5
"""If more commands are missing, only the line to paste names them."""

_UNSPECIFIC: Final = "refused"
"""What ``reason_of`` returns for an error without a code that it knows."""

_UNKNOWN_DIGEST: Final = "0" * 40
"""A digest of no script: the reply is NOSCRIPT if scripts can be run."""

Command: TypeAlias = tuple[Argument, ...]

_SHOWS_PRIMARY: Final = (
    "Put the address of the primary into REDIS_URL. This shows it: redis-cli INFO replication"
)
_LINES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "READONLY": _SHOWS_PRIMARY,
        "MASTERDOWN": _SHOWS_PRIMARY,
        "OOM": "redis-cli CONFIG SET maxmemory-policy allkeys-lru",
        "MISCONF": "Make room on its disk. This shows what fails: redis-cli INFO persistence",
        "BUSY": "redis-cli SCRIPT KILL",
    }
)
"""For the codes of error replies, what to do, with a line to paste."""


@frozen
class KeyCommands:
    """Commands on the keys of one pattern."""

    pattern: str
    commands: Sequence[Command]


def trial_commands(name: str) -> Sequence[KeyCommands]:
    """Every command of the service, on keys that contain ``name``."""
    state, log, mark = (key(SessionId(name)) for key in (state_key, log_key, forgotten_key))
    lease = lease_key(ProcessId(name))
    counter, table = (limit_key(f"doctor-{kind}", name) for kind in ("counter", "table"))
    of_conversations, of_logs, of_processes, of_limits = KEY_PATTERNS
    return (
        # First, because no key is created if neither is permitted.
        KeyCommands(of_conversations, (("DEL", state), ("PEXPIRE", state, _LIFETIME))),
        KeyCommands(of_conversations, _state_commands(state)),
        KeyCommands(of_logs, (*_stream_commands(log), *_string_commands(mark))),
        KeyCommands(of_processes, _string_commands(lease)),
        KeyCommands(of_limits, (*_string_commands(counter), *_hash_commands(table))),
        KeyCommands("", (("TIME",), ("EVAL", "return 1", 0), ("EVALSHA", _UNKNOWN_DIGEST, 0))),
    )


def _state_commands(key: str) -> Sequence[Command]:
    return (
        ("RPUSH", key, "x"),
        ("PEXPIRE", key, _LIFETIME),
        ("LINDEX", key, 0),
        ("LRANGE", key, 0, -1),
        ("LSET", key, 0, "y"),
        ("LTRIM", key, 0, -1),
        ("PTTL", key),
        ("DEL", key),
    )


def _stream_commands(key: str) -> Sequence[Command]:
    return (
        ("XADD", key, "1-0", "t", "x"),
        ("PEXPIRE", key, _LIFETIME),
        ("XRANGE", key, "-", "+"),
        ("XREVRANGE", key, "+", "-"),
        ("XGROUP", "CREATE", key, "stop", "$"),
        ("XINFO", "GROUPS", key),
        ("PTTL", key),
        ("DEL", key),
    )


def _string_commands(key: str) -> Sequence[Command]:
    return (("SET", key, "x", "PX", _LIFETIME), ("GET", key), ("DEL", key))


def _hash_commands(key: str) -> Sequence[Command]:
    return (
        ("HSET", key, "x", 1),
        ("PEXPIRE", key, _LIFETIME),
        ("HGET", key, "x"),
        ("HGETALL", key),
        ("HDEL", key, "x"),
        ("DEL", key),
    )


def name_of(command: Command) -> str:
    """The name of a command as an ACL rule has it, such as ``xinfo|groups``."""
    first = str(command[0]).lower()
    return f"{first}|{str(command[1]).lower()}" if first in ("xinfo", "xgroup") else first


def acl_line(user: str, *rules: str) -> str:
    """A line to paste that changes the permissions of ``user``."""
    return shlex.join(["redis-cli", "ACL", "SETUSER", user, *rules])


def connecting_line(error: BaseException, user: str) -> str:
    """A line to paste if ``user`` may not even connect; empty if ``error`` is another one."""
    link: BaseException | None = error
    while link is not None:
        if reason_of(link) == "NOPERM":
            return acl_line(user, *(f"+{name}" for name in CONNECTION_COMMANDS))
        link = link.__cause__
    return ""


def new_user_line() -> str:
    """A line to paste that creates a user with all permissions that the service can use."""
    commands = sorted({name_of(one) for part in trial_commands("") for one in part.commands})
    names = dict.fromkeys((*CONNECTION_COMMANDS, *commands, *OPTIONAL_COMMANDS))
    keys = (f"~{pattern}" for pattern in KEY_PATTERNS)
    return acl_line("privity", "on", ">PASSWORD", *keys, "-@all", *(f"+{name}" for name in names))


@define
class _Outcome:
    """What Redis did not accept.

    Attributes:
        commands: the commands that our user may not run, each once.
        patterns: the key patterns that our user may not use, each once.
        usable: the key patterns on which a command was permitted.
        errors: every other error, by its code, with the name of a command that failed with it.
    """

    commands: dict[str, None] = field(factory=dict)
    patterns: dict[str, None] = field(factory=dict)
    usable: set[str] = field(factory=set)
    errors: dict[str, tuple[str, RedisError]] = field(factory=dict)

    def note(self, command: Command, pattern: str, reply: Any) -> None:
        reason = reason_of(reply) if isinstance(reply, RedisError) else ""
        if reason != "NOPERM":
            self.usable.add(pattern)
            if reason not in ("", "NOSCRIPT"):
                self.errors.setdefault(reason, (name_of(command), reply))
        elif " run " in str(reply):
            self.commands[name_of(command)] = None
        else:
            self.patterns[pattern] = None

    @property
    def is_denied(self) -> bool:
        return bool(self.commands or self.patterns)


async def permission_findings(client: RedisClient, name: str, user: str) -> list[Finding]:
    """Problems with what Redis accepts from ``user``; one good finding if there are none.

    ``name`` is part of every key, and must not be used by anybody else.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    outcome = _Outcome()
    for part in trial_commands(name):
        commands = [command for command in part.commands if not _would_stay(command, outcome)]
        # Sent together, so that no key stays if the connection is lost before it can expire.
        replies = await asyncio.gather(*(client.reply_or_error(*command) for command in commands))
        for command, reply in zip(commands, replies, strict=True):
            outcome.note(command, part.pattern, reply)
    good = Finding(
        Level.GOOD,
        "permissions",
        "the Redis user may use all commands and keys that the service needs",
    )
    return [*_denials(outcome, user), *_refusals(outcome)] or [good]


def _would_stay(command: Command, outcome: _Outcome) -> bool:
    """Whether ``command`` creates a key that can neither be deleted nor made to expire."""
    return name_of(command) in _CREATING and {"pexpire", "del"} <= outcome.commands.keys()


def _denials(outcome: _Outcome, user: str) -> Iterator[Finding]:
    """What our user lacks, with the line that grants all of it."""
    if not outcome.is_denied:
        return
    commands, patterns = list(outcome.commands), list(outcome.patterns)
    names = ", ".join(name.upper() for name in commands)
    if len(commands) > _MAX_NAMED:
        names = f"{len(commands)} commands that the service needs"
    lacks = [
        *([names] if names else []),
        *([f"the keys {', '.join(patterns)}"] if patterns else []),
    ]
    # If no command was permitted on a key, its pattern may be missing as well.
    unusable = (name for name in KEY_PATTERNS if name in patterns or name not in outcome.usable)
    rules = (*(f"+{name}" for name in commands), *(f"~{pattern}" for pattern in unusable))
    text = f"the Redis user may not use {' and '.join(lacks)}"
    yield Finding(Level.PROBLEM, "permissions", text, acl_line(user, *rules))


def _refusals(outcome: _Outcome) -> Iterator[Finding]:
    """What Redis refuses whoever the user is."""
    for reason, (command, error) in outcome.errors.items():
        if reason != _UNSPECIFIC:
            yield Finding(Level.PROBLEM, "writes", *refusal(error))
        elif len(outcome.errors) == 1 and not outcome.is_denied:
            # Otherwise it may only follow from another command that failed.
            text = f"Redis does not accept the command {command.upper()}"
            advice = "Use Redis 6.2 or newer, or Valkey, with all commands enabled."
            yield Finding(Level.PROBLEM, "commands", text, advice)


def refusal(error: BaseException) -> tuple[str, str]:
    """What an error that Redis replied with means, and what to do about it."""
    cause = cause_of(error)
    return cause.text, _LINES.get(cause.code, cause.advice)
