"""What the tables of the assistant's file have in common: names, and checks of single values."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from domain.model.prompt import TOOL_NAME

NAME: Final = re.compile(TOOL_NAME)
NAME_RULE: Final = "must have 1 to 64 characters, all of them letters, digits, _ or -."


def is_text(value: Any) -> bool:
    """Whether the value is a text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def is_name(value: Any) -> bool:
    """Whether the value is a valid name for a tool, a tool server or a prompt."""
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def unknown_keys(table: Mapping[str, Any], keys: Collection[str], prefix: str = "") -> list[str]:
    """A problem for each key of ``table`` that is not one of ``keys``.

    ``prefix`` is the path of the table, with a full stop at its end.
    """
    return [_unknown_key(key, keys, prefix) for key in table if key not in keys]


def _unknown_key(key: str, keys: Collection[str], prefix: str) -> str:
    nearest = get_close_matches(key, sorted(keys), n=1)
    hint = f"; did you mean {prefix}{nearest[0]}?" if nearest else "."
    return f"{prefix}{key} is not a known key{hint}"


def quoted(key: str) -> str:
    """The key as it is written in a TOML path."""
    return key if NAME.fullmatch(key) else f'"{key}"'


def repeated(names: Iterable[Any]) -> list[str]:
    """The valid names that occur more than once, each one once."""
    counts = Counter(name for name in names if is_name(name))
    return [name for name, count in counts.items() if count > 1]
