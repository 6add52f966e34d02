"""The assistant's profile as a TOML file."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.assistant_profile.toml_file import NEUTRAL, ProfileProblem, load_assistant
from domain.model.assistant import Memory
from domain.model.message import Usage

EXAMPLE = Path(__file__).parents[3] / "assistant.example.toml"
MINIMAL = 'system_prompt = "Be kind."\n[welcome]\nen = "Hello!"\n'


def problems_of(path: Path) -> list[str]:
    with pytest.raises(ProfileProblem) as problem:
        load_assistant(path)
    assert str(problem.value) == "ASSISTANT_FILE: " + " ".join(problem.value.problems)
    return problem.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "assistant.toml"


def test_the_example_file_is_valid() -> None:
    assistant = load_assistant(EXAMPLE)

    usage = Usage(input_tokens=1_000_000, output_tokens=2_000_000)
    assert assistant.system_prompt.strip().startswith("You are the assistant")
    assert list(assistant.welcomes) == ["en", "fi", "sv"]
    assert assistant.cost_of("some-model", usage) == Decimal("1.35")


def test_the_commented_lines_of_the_example_file_are_valid(file: Path) -> None:
    text = re.sub(r"^# (?=\[|[\w.]+ = )", "", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)
    (file.parent / "secret").write_text("abc", "utf-8")
    file.write_text(text.replace("/run/secrets/library", "secret"), "utf-8")

    assistant = load_assistant(file)

    assert [prompt.name for prompt in assistant.prompts] == ["comparing"]
    assert [server.name for server in assistant.tools.servers] == ["library"]
    assert [tool.name for tool in assistant.tools.client] == ["show_map"]


def test_without_a_file_the_profile_is_neutral() -> None:
    assert load_assistant(None) is NEUTRAL


def test_prices_are_optional(file: Path) -> None:
    file.write_text(MINIMAL, "utf-8")

    assistant = load_assistant(file)

    assert (assistant.system_prompt, dict(assistant.prices)) == ("Be kind.", {})
    assert assistant.default_locale == "en"


def test_what_is_special_about_long_conversations_is_optional(file: Path) -> None:
    file.write_text(MINIMAL, "utf-8")

    assert load_assistant(file).memory == Memory()

    keys = 'prompt_tokens = 256\nsummary_prompt = "Keep names."\nsummary_tokens = 32000\n'
    file.write_text(f"{MINIMAL}[memory]\n{keys}", "utf-8")

    assert load_assistant(file).memory == Memory(
        prompt_tokens=256, summary_prompt="Keep names.", summary_tokens=32_000
    )


@pytest.mark.parametrize(
    ("memory", "problem"),
    [
        ("prompt_tokens = 255", "memory.prompt_tokens must be a whole number from 256 to"),
        ("prompt_tokens = 256.5", "memory.prompt_tokens must be a whole number from 256 to"),
        ('prompt_tokens = "256"', "memory.prompt_tokens must be a whole number from 256 to"),
        ("summary_tokens = true", "memory.summary_tokens must be a whole number from 64 to 32,000"),
        ("summary_tokens = 32001", "memory.summary_tokens must be a whole number from 64 to"),
        ('summary_prompt = " "', "memory.summary_prompt must be a non-empty string."),
        ("summary_promt = 1", "memory.summary_promt is not a known key; did you mean memory.summ"),
    ],
)
def test_an_invalid_value_for_long_conversations_is_refused(
    file: Path, memory: str, problem: str
) -> None:
    file.write_text(f"{MINIMAL}[memory]\n{memory}\n", "utf-8")

    [found] = problems_of(file)
    assert found.startswith(problem)


@pytest.mark.parametrize("price", ["0.15", "1", '"0.15"', "0"])
def test_a_price_may_be_a_number_or_a_string(file: Path, price: str) -> None:
    file.write_text(f"{MINIMAL}[prices.m]\ninput = {price}\noutput = 1\n", "utf-8")

    parsed = load_assistant(file).prices["m"]

    assert (parsed.input, parsed.output) == (Decimal(price.strip('"')), Decimal(1))


def test_all_problems_are_reported_at_once(file: Path) -> None:
    document = """
        system_prompt = " "
        colour = "blue"
        [welcome]
        english_please = "Hello!"
        fi = 3
        [prices.m]
        input = 1
    """
    file.write_text(document, "utf-8")

    assert problems_of(file) == [
        "colour is not a known key.",
        "system_prompt must be a non-empty string.",
        "welcome.english_please is not a language tag.",
        "welcome.fi must be a non-empty string.",
        'prices."m" must have input and output: non-negative prices per million tokens.',
    ]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ('system_prompt = "a"', "welcome must be a table"),
        ('system_prompt = "a"\nwelcome = "b"', "welcome must be a table"),
        ('system_prompt = "a"\n[welcome]', "welcome must be a table"),
        ('system_prompt = 1\n[welcome]\nen = "b"', "system_prompt must be a non-empty string."),
        ('memory = 1\nsystem_prompt = "a"\n[welcome]\nen = "b"', "memory must be a table."),
        ('prices = 1\nsystem_prompt = "a"\n[welcome]\nen = "b"', "prices must be a table."),
    ],
)
def test_a_value_of_the_wrong_type_is_reported(file: Path, document: str, problem: str) -> None:
    file.write_text(document, "utf-8")

    assert len(problems_of(file)) == 1
    assert problems_of(file)[0].startswith(problem)


@pytest.mark.parametrize("price", ["-1", "nan", "inf", '"much"', "true", '""', "[1]"])
def test_an_invalid_price_is_refused(file: Path, price: str) -> None:
    file.write_text(f"{MINIMAL}[prices.m]\ninput = {price}\noutput = 1\n", "utf-8")

    assert len(problems_of(file)) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"= no", "the file is not valid TOML at line 1, column 1."),
        (b'system_prompt = "a"\n\n[welcome\n', "the file is not valid TOML at line 3, column 9."),
        (b'system_prompt = """planted', "the file is not valid TOML at the end of the file."),
        (b"planted = " + 5_000 * b"[", "the file has too many brackets within each other."),
        (b"\xff\xfe", "the file is not UTF-8 text."),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_the_place(
    file: Path, content: bytes, problem: str
) -> None:
    file.write_bytes(content)

    assert problems_of(file) == [problem]


def test_a_byte_order_mark_is_ignored(file: Path) -> None:
    file.write_text(MINIMAL, "utf-8-sig")

    assert load_assistant(file).system_prompt == "Be kind."


def test_an_unknown_key_is_reported_with_the_nearest_one(file: Path) -> None:
    file.write_text('system_promt = "a"\n[welcome]\nen = "b"', "utf-8")

    assert problems_of(file) == [
        "system_promt is not a known key; did you mean system_prompt?",
        "system_prompt is missing; it must come before the first [table].",
    ]


def test_a_file_that_cannot_be_read_is_refused(file: Path) -> None:
    assert problems_of(file) == ["the file cannot be read."]
    assert problems_of(file.parent) == ["the file cannot be read."]
