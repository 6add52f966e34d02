"""Names in the environment that look like settings, but are not.

A setting with a typing error must not go unnoticed: without PRIVITY_KEYS, for example, every
restart would invalidate all client keys. The prefix ``PRIVITY_`` is ours, so an unknown name with
it is an error. ``REDIS_``, ``MODEL_`` and ``ASSISTANT_`` also belong to other programs, so a name
with one of them is only a warning, and only if it is nearly one of ours. The same holds for a
prefix that is nearly ``PRIVITY_``.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Final

from entrypoints.setting_types import SettingInfo

_OURS: Final = "PRIVITY_"
_SHARED: Final = ("REDIS_", "MODEL_", "ASSISTANT_")
_FILE: Final = "_FILE"

_OF_KUBERNETES: Final = re.compile(
    r"PRIVITY(_[A-Z0-9]+)*_(SERVICE_HOST=.*|SERVICE_PORT(_[A-Z0-9_]+)?=\d+"
    r"|PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.*"
    r"|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=.*)"
)
"""What Kubernetes sets in every container if a service is called ``privity`` or ``privity-…``."""

_OF_OTHERS: Final = re.compile(
    r"PRIVITY_(CLIENT_KEY(_FILE)?|URL|PORT|VERSION|([A-Z]+_)?IMAGE|RECORD|CLIENT_RESULTS|TEST_[A-Z0-9_]+)=.*"
)
"""Read by ``privity chat``, the examples, Compose and the tests, or set in images."""

_LISTEN: Final = (
    "The address to listen on is an option, privity serve --host 127.0.0.1. PRIVITY_HOSTS lists "
    "host names of the service."
)
_PORT: Final = "The port to listen on is an option: privity serve --port 8000."
_HINTS: Final = {"HOST": _LISTEN, "BIND": _LISTEN, "LISTEN": _LISTEN, "PORT": _PORT}
"""By the last word of a name."""

_LEAST_SIMILARITY: Final = 0.6
_MOST_EDITS: Final = 2
_LETTERS_PER_EDIT: Final = 3


def unknown_names(environment: Mapping[str, str], infos: Collection[SettingInfo]) -> Iterator[str]:
    """A sentence for each name with a value that must be an error."""
    known = _known(infos)
    secrets = [info.name for info in infos if info.secret]
    for name in sorted(set(environment) - known):
        setting = name.removesuffix(_FILE)
        if not environment[name].strip() or _is_foreign(name, environment[name]):
            continue
        if name.endswith(_FILE) and setting in known:
            yield f"{name}: only {_listed(secrets)} can be read from a file. Set {setting} itself."
        elif name.upper().startswith(_OURS):
            yield _unknown(name, known)


def nearly_known_names(
    environment: Mapping[str, str], infos: Collection[SettingInfo]
) -> Iterator[str]:
    """A sentence for each name with a value that is probably a typing error."""
    known = _known(infos)
    port = environment.get("PRIVITY_PORT", "")
    if port.isdecimal():
        # Kubernetes sets it to a URL.
        yield "PRIVITY_PORT only applies to Compose. Here, use: privity serve --port " + port
    url, public_url = environment.get("PRIVITY_URL", ""), environment.get("PRIVITY_PUBLIC_URL", "")
    if url.startswith("https:") and not public_url.strip():
        yield "PRIVITY_URL is only for clients. The service reads PRIVITY_PUBLIC_URL."
    for name in sorted(set(environment) - known):
        near = _with_our_prefix(name.upper())
        if environment[name].strip() and near is not None:
            meant = [setting for setting in sorted(known) if _is_nearly(near, setting)]
            if meant:
                yield f"{name} is not a setting of Privity; did you mean {meant[0]}?"


def _known(infos: Collection[SettingInfo]) -> set[str]:
    names = {info.name for info in infos}
    return names | {f"{info.name}{_FILE}" for info in infos if info.secret}


def _is_foreign(name: str, value: str) -> bool:
    entry = f"{name}={value.strip()}"
    return bool(_OF_KUBERNETES.fullmatch(entry) or _OF_OTHERS.fullmatch(entry))


def _unknown(name: str, known: Collection[str]) -> str:
    end = name.upper().removeprefix(_OURS)
    hint = _HINTS.get(end.rpartition("_")[2])
    if hint:
        return f"{name}: unknown setting. {hint}"
    meant = end if end in known else _most_similar(end, known)
    if meant:
        return f"{name}: unknown setting; did you mean {meant}?"
    return f"{name}: unknown setting. docs/settings.md lists all settings."


def _most_similar(end: str, known: Collection[str]) -> str | None:
    """The setting whose name without the prefix is most similar to ``end``; None if none is."""

    def similarity(setting: str) -> float:
        other = setting.removeprefix(_OURS)
        is_part = set(other.split("_")) < set(end.split("_"))
        ratio = SequenceMatcher(None, end, other).ratio()
        return max(ratio, _LEAST_SIMILARITY) if is_part else ratio

    ours = sorted(setting for setting in known if setting.startswith(_OURS))
    nearest = max(ours, key=similarity)
    return nearest if similarity(nearest) >= _LEAST_SIMILARITY else None


def _with_our_prefix(name: str) -> str | None:
    """``name`` with ``PRIVITY_`` in place of a prefix that is nearly the same.

    None if another program can have meant the name. A name that begins with ``PRIVITY_`` is an
    error, so no warning is needed.
    """
    if name.startswith(_SHARED):
        return name
    prefix, _, end = name.partition("_")
    ours = _OURS.removesuffix("_")
    is_near = prefix != ours and (sorted(prefix) == sorted(ours) or _edits(prefix, ours) == 1)
    return f"{_OURS}{end}" if is_near else None


def _is_nearly(name: str, setting: str) -> bool:
    """Whether ``name`` is ``setting`` with one or two edits, or without some of its words."""
    prefix, _, end = name.partition("_")
    setting_prefix, _, setting_end = setting.partition("_")
    if prefix != setting_prefix:
        return False
    if set(end.split("_")) < set(setting_end.split("_")):
        return True
    # In a short name, two edits make another word.
    most = max(1, min(_MOST_EDITS, len(setting_end) // _LETTERS_PER_EDIT))
    return sorted(end) == sorted(setting_end) or _edits(end, setting_end) <= most


def _edits(one: str, other: str) -> int:
    """How many letters were added, left out or replaced."""
    changes = SequenceMatcher(None, one, other).get_opcodes()
    return sum(
        max(one_end - one_start, other_end - other_start)
        for kind, one_start, one_end, other_start, other_end in changes
        if kind != "equal"
    )


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
