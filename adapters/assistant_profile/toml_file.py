"""The assistant's profile from a TOML file; see assistant.example.toml."""

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from adapters.assistant_profile.prompts_table import named_prompts, prompt_problems
from adapters.assistant_profile.toml_values import is_text, unknown_keys
from adapters.assistant_profile.tools_table import tool_problems, tool_settings
from domain.model.assistant import Assistant, Memory, Price, is_language_tag_short
from domain.model.budget import MAX_PROMPT_TOKENS, MIN_PROMPT_TOKENS

_LANGUAGE_TAG: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_PLACE: Final = re.compile(r"\((at line \d+, column \d+)\)$")
KEYS: Final = frozenset({"system_prompt", "prompts", "welcome", "tools", "prices", "memory"})
PRICE_KEYS: Final = frozenset({"input", "output"})
TOKEN_BOUNDS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"prompt_tokens": (MIN_PROMPT_TOKENS, MAX_PROMPT_TOKENS), "summary_tokens": (64, 32_000)}
)
"""The lowest and the highest value of each number in ``memory``."""

MEMORY_KEYS: Final = frozenset({"summary_prompt", *TOKEN_BOUNDS})

NEUTRAL: Final = Assistant(
    system_prompt=(
        "You are a helpful, even-handed assistant. Answer in the language of the user, briefly and "
        "in plain words. Say so when you do not know. Give no advice that needs a professional, "
        "and take no side in politics."
    ),
    welcomes={
        "en": "Hello! What would you like to know?",
        "fi": "Hei! Mitä haluaisit tietää?",
        "sv": "Hej! Vad vill du veta?",
        "ar": "مرحبًا! ماذا تود أن تعرف؟",
    },
)


class ProfileProblem(ValueError):
    """The profile is invalid; the message lists every problem, each with its key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("ASSISTANT_FILE: " + " ".join(problems))
        self.problems = problems


def load_assistant(path: Path | None) -> Assistant:
    """The assistant declared in the file at ``path``; a neutral one if ``path`` is None.

    Raises:
        ProfileProblem: the file cannot be read or its content is invalid.
    """
    if path is None:
        return NEUTRAL
    try:
        # Editors on Windows may put a byte order mark at the beginning.
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        problems = _problems(document, path.parent)
    except OSError as error:
        raise ProfileProblem(["the file cannot be read."]) from error
    except UnicodeDecodeError as error:
        raise ProfileProblem(["the file is not UTF-8 text."]) from error
    except RecursionError as error:
        raise ProfileProblem(["the file has too many brackets within each other."]) from error
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        where = place[1] if place else "at the end of the file"
        raise ProfileProblem([f"the file is not valid TOML {where}."]) from error
    if problems:
        raise ProfileProblem(problems)
    prices = {name: _price(price) for name, price in document.get("prices", {}).items()}
    return Assistant(
        system_prompt=document["system_prompt"],
        welcomes=document["welcome"],
        prompts=named_prompts(document.get("prompts", {})),
        tools=tool_settings(document.get("tools", {}), path.parent),
        prices=prices,
        memory=Memory(**document.get("memory", {})),
    )


def _problems(document: Mapping[str, Any], folder: Path) -> list[str]:
    problems = unknown_keys(document, KEYS)
    if "system_prompt" not in document:
        problems.append("system_prompt is missing; it must come before the first [table].")
    elif not is_text(document["system_prompt"]):
        problems.append("system_prompt must be a non-empty string.")
    problems += _welcome_problems(document.get("welcome"))
    problems += prompt_problems(document.get("prompts", {}))
    problems += tool_problems(document.get("tools", {}), folder)
    problems += _price_problems(document.get("prices", {}))
    problems += _memory_problems(document.get("memory", {}))
    return problems


def _welcome_problems(welcome: Any) -> list[str]:
    if not isinstance(welcome, dict) or not welcome:
        return ['welcome must be a table with a text in at least one language: en = "Hello!"']
    invalid_tags = [
        tag for tag in welcome if not (_LANGUAGE_TAG.fullmatch(tag) and is_language_tag_short(tag))
    ]
    invalid_texts = [tag for tag, text in welcome.items() if not is_text(text)]
    return [
        *(f"welcome.{tag} is not a language tag." for tag in invalid_tags),
        *(f"welcome.{tag} must be a non-empty string." for tag in invalid_texts),
    ]


def _price_problems(prices: Any) -> list[str]:
    if not isinstance(prices, dict):
        return ["prices must be a table."]
    return [
        f'prices."{name}" must have input and output: non-negative prices per million tokens.'
        for name, price in prices.items()
        if not _is_price(price)
    ]


def _is_price(price: Any) -> bool:
    if not isinstance(price, dict) or set(price) != PRICE_KEYS:
        return False
    try:
        parsed = _price(price)
    except (InvalidOperation, ValueError):
        return False
    return all(amount.is_finite() and amount >= 0 for amount in (parsed.input, parsed.output))


def _price(price: Mapping[str, Any]) -> Price:
    return Price(input=Decimal(str(price["input"])), output=Decimal(str(price["output"])))


def _memory_problems(memory: Any) -> list[str]:
    if not isinstance(memory, dict):
        return ["memory must be a table."]
    out_of_bounds = [
        f"memory.{name} must be a whole number from {low:,} to {high:,}."
        for name, (low, high) in TOKEN_BOUNDS.items()
        if name in memory and not (type(memory[name]) is int and low <= memory[name] <= high)
    ]
    problems = [*unknown_keys(memory, MEMORY_KEYS, "memory."), *out_of_bounds]
    if "summary_prompt" in memory and not is_text(memory["summary_prompt"]):
        problems.append("memory.summary_prompt must be a non-empty string.")
    return problems
