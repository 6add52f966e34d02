"""The table ``prompts`` of the assistant's file: the named prompts."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from adapters.assistant_profile.toml_values import (
    NAME_RULE,
    is_name,
    is_text,
    quoted,
    unknown_keys,
)
from domain.model.named_prompt import Condition, Context, NamedPrompt

KEYS: Final = frozenset({"system_prompt", "when"})
_EXPECTED: Final[Mapping[Context, tuple[str, type | tuple[type, ...]]]] = MappingProxyType(
    {
        "page_context": ("a string, a number, true or false", (str, int, float, bool)),
        "metadata": ("a string", str),
    }
)
"""What the values of a condition must be."""


def prompt_problems(prompts: Any) -> list[str]:
    """Every problem in the table; an empty list if it is valid."""
    if not isinstance(prompts, dict):
        return ["prompts must be a table with a table for each prompt: [prompts.some-name]"]
    return [problem for name, prompt in prompts.items() for problem in _problems(name, prompt)]


def named_prompts(prompts: Mapping[str, Any]) -> tuple[NamedPrompt, ...]:
    """The prompts in a valid table, in the order of the file."""
    return tuple(
        NamedPrompt(
            name=name,
            system_prompt=prompt["system_prompt"],
            conditions=tuple(_conditions(prompt["when"])),
        )
        for name, prompt in prompts.items()
    )


def _problems(name: str, prompt: Any) -> Iterator[str]:
    path = f"prompts.{quoted(name)}"
    if not is_name(name):
        yield f"{path}: the name {NAME_RULE}"
    if not isinstance(prompt, dict):
        yield f"{path} must be a table."
        return
    yield from unknown_keys(prompt, KEYS, f"{path}.")
    if not is_text(prompt.get("system_prompt")):
        yield f"{path}.system_prompt must be a non-empty string."
    yield from _when_problems(f"{path}.when", prompt.get("when"))


def _when_problems(path: str, when: Any) -> Iterator[str]:
    if not isinstance(when, dict) or not when:
        yield f'{path} must have at least one condition: when.page_context.page = "/compare*"'
        return
    yield from unknown_keys(when, _EXPECTED, f"{path}.")
    for context in _EXPECTED:
        if context in when:
            yield from _condition_problems(f"{path}.{context}", when[context], context)


def _condition_problems(path: str, table: Any, context: Context) -> Iterator[str]:
    if not isinstance(table, dict) or not table:
        yield f'{path} must be a table of names and expected values, such as page = "/compare*".'
        return
    expected, types = _EXPECTED[context]
    for names, value in _leaves(table, is_nested=context == "page_context"):
        if not isinstance(value, types):
            yield f"{'.'.join((path, *map(quoted, names)))} must be {expected}."


def _conditions(when: Mapping[str, Any]) -> Iterator[Condition]:
    for context in _EXPECTED:
        is_nested = context == "page_context"
        for names, value in _leaves(when.get(context, {}), is_nested=is_nested):
            yield Condition(context=context, path=names, value=value)


def _leaves(
    table: Mapping[str, Any], before: tuple[str, ...] = (), *, is_nested: bool
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values in a table, and in the tables in it, each with the names that lead to it."""
    for name, value in table.items():
        if is_nested and isinstance(value, dict) and value:
            yield from _leaves(value, (*before, name), is_nested=True)
        else:
            yield (*before, name), value
