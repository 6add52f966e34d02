"""The named prompts in the assistant's file."""

from pathlib import Path

import pytest

from adapters.assistant_profile.toml_file import ProfileProblem, load_assistant
from domain.model.named_prompt import Condition, NamedPrompt

MINIMAL = 'system_prompt = "Be kind."\n[welcome]\nen = "Hello!"\n'
COMPARING = '[prompts.comparing]\nsystem_prompt = "Compare."\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "assistant.toml"


def test_named_prompts_keep_the_order_of_the_file(file: Path) -> None:
    text = """
        [prompts.taxes]
        system_prompt = "Explain."
        when.metadata.topic = "tax"
        when.metadata."a.b" = "*"
        [prompts.comparing]
        system_prompt = "Compare."
        when.page_context = { page = "/compare*", user.signed_in = true, user.age = 17 }
    """
    file.write_text(MINIMAL + text, "utf-8")

    assert load_assistant(file).prompts == (
        NamedPrompt(
            name="taxes",
            system_prompt="Explain.",
            conditions=(
                Condition(context="metadata", path=("topic",), value="tax"),
                Condition(context="metadata", path=("a.b",), value="*"),
            ),
        ),
        NamedPrompt(
            name="comparing",
            system_prompt="Compare.",
            conditions=(
                Condition(context="page_context", path=("page",), value="/compare*"),
                Condition(context="page_context", path=("user", "signed_in"), value=True),
                Condition(context="page_context", path=("user", "age"), value=17),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[prompts]\ncomparing = 'a'", "prompts.comparing must be a table."),
        (
            "[prompts.'a b']\nsystem_prompt = 'c'\nwhen.metadata.d = 'e'",
            'prompts."a b": the name must have 1 to 64 characters, all of them letters, digits, _',
        ),
        (
            "[prompts.a]\nwhen.metadata.b = 'c'",
            "prompts.a.system_prompt must be a non-empty string.",
        ),
        (COMPARING, "prompts.comparing.when must have at least one condition: when.page_context."),
        (f"{COMPARING}when = {{}}", "prompts.comparing.when must have at least one condition"),
        (f"{COMPARING}when.metadata = 'a'", "prompts.comparing.when.metadata must be a table of"),
        (f"{COMPARING}when.metadata = {{}}", "prompts.comparing.when.metadata must be a table of"),
        (f"{COMPARING}when.metadata.a = 1", "prompts.comparing.when.metadata.a must be a string."),
        (f"{COMPARING}when.metadata.a.b = '1'", "prompts.comparing.when.metadata.a must be a str"),
        (
            f"{COMPARING}when.page_context.a.'b c' = []",
            'prompts.comparing.when.page_context.a."b c" must be a string, a number, true or false',
        ),
        (f"{COMPARING}when.page_context.a = {{}}", "prompts.comparing.when.page_context.a must be"),
        (
            f"{COMPARING}when.page_contxt.a = 'b'\nwhen.metadata.a = 'b'",
            "prompts.comparing.when.page_contxt is not a known key; did you mean prompts.comparing",
        ),
        (
            f"{COMPARING}whn = 1\nwhen.metadata.a = 'b'",
            "prompts.comparing.whn is not a known key; did you mean prompts.comparing.when?",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_key(file: Path, text: str, problem: str) -> None:
    file.write_text(f"{MINIMAL}{text}\n", "utf-8")

    with pytest.raises(ProfileProblem) as found:
        load_assistant(file)

    assert len(found.value.problems) == 1
    assert found.value.problems[0].startswith(problem)


def test_prompts_must_be_a_table(file: Path) -> None:
    file.write_text(f"prompts = 1\n{MINIMAL}", "utf-8")

    with pytest.raises(ProfileProblem, match="prompts must be a table with a table for each"):
        load_assistant(file)
