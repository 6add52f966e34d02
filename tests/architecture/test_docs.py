"""The documentation matches the code: settings, codes, routes and dependencies."""

import re
import shlex
from collections.abc import Sequence
from typing import Final

import pytest
from starlette.routing import Route

from adapters.assistant_profile import prompts_table, tool_servers_table, tools_table
from adapters.assistant_profile.toml_file import KEYS, MEMORY_KEYS, PRICE_KEYS
from entrypoints.cli.main import app as command_line
from entrypoints.container import open_container
from entrypoints.http.app import create_app
from entrypoints.http.openai.errors import PREFIX
from entrypoints.http.openapi import document
from entrypoints.http.problems import PROBLEM_TYPES
from entrypoints.settings import Settings, setting_infos
from tests.architecture.sources import PYPROJECT, ROOT, own_files

ROUTES: Final = create_app(Settings(), open_container).routes
HEADING = re.compile(r"^### `([A-Z]+) (/[^`]*)`$", re.MULTILINE)
EXAMPLE = re.compile(r"^#([A-Z0-9_]+)=(.*)$", re.MULTILINE)
COMMAND = re.compile(r"\bprivity ([a-z][a-z-]*)")
REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def rows(text: str, *, under: str = "") -> list[list[str]]:
    """The cells of every table row that begins with a name in code, within one section."""
    section = text.partition(f"## {under}\n")[2].partition("\n## ")[0] if under else text
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def names(table: Sequence[Sequence[str]]) -> list[str]:
    return [row[0].strip("`") for row in table]


def example_values() -> dict[str, str]:
    """The values of .env.example as a shell reads them."""
    lines = EXAMPLE.findall(page(".env.example"))
    return {name: shlex.split(value)[0] for name, value in lines}


def documented_routes(text: str) -> set[tuple[str, str]]:
    return set(HEADING.findall(text))


def real_routes() -> set[tuple[str, str]]:
    assert all(isinstance(route, Route) for route in ROUTES)
    return {
        (method, route.path)
        for route in ROUTES
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        if not route.path.startswith(PREFIX)  # Documented with OpenAI's clients.
    }


def required(listed: Sequence[str]) -> list[str]:
    return sorted(found[0] for line in listed if (found := REQUIREMENT.match(line)))


def test_every_setting_is_documented_correctly_and_in_order() -> None:
    known = [
        [f"`{info.name}`", info.meaning, info.shown_default or "none", info.expects]
        for info in setting_infos()
    ]

    assert rows(page("docs/settings.md")) == known


def test_the_example_lists_exactly_the_settings() -> None:
    secrets = {f"{info.name}_FILE" for info in setting_infos() if info.secret}
    known = {info.name for info in setting_infos()} | secrets

    assert sorted(example_values()) == sorted(known)


def test_the_page_names_every_secret_with_its_file() -> None:
    text = page("docs/settings.md")
    secrets = [info.name for info in setting_infos() if info.secret]

    assert [name for name in secrets if f"`{name}_FILE`" not in text] == []
    files = set(re.findall(r"`(\w+)_FILE`", text))
    assert files - {"ASSISTANT", "MODEL_CA", "PRIVITY_HOOK_CA", "REDIS_CA"} == set(secrets)


def test_the_example_sets_nothing_and_its_values_are_valid() -> None:
    text = page(".env.example")
    values = example_values()

    assert [line for line in text.splitlines() if line and not line.startswith("#")] == []
    checked = [info for info in setting_infos() if info.expects != "a path"]
    assert [info.parse(values[info.name]) for info in checked] != []


def test_exactly_the_problem_codes_are_documented_with_their_status() -> None:
    table = rows(page("docs/http_api.md"), under="Problems")

    assert {row[0].strip("`"): int(row[1]) for row in table} == {
        code: problem_type.status for code, problem_type in PROBLEM_TYPES.items()
    }
    assert len(table) == len(PROBLEM_TYPES)


def test_troubleshooting_names_codes_with_their_status() -> None:
    text = page("docs/troubleshooting.md")
    pairs = re.findall(r"\b(\d{3}) ((?:`[a-z_]+`(?:, )?)+)", text)
    named = {code: int(status) for status, codes in pairs for code in re.findall(r"[a-z_]+", codes)}

    assert named == {code: PROBLEM_TYPES[code].status for code in named}
    assert len(named) > 20


def test_the_assistant_page_lists_exactly_the_keys_of_the_file() -> None:
    listed = names(rows(page("docs/assistant.md"), under="Keys"))

    prices = {f"prices.*.{name}" for name in PRICE_KEYS}
    memory = {f"memory.{name}" for name in MEMORY_KEYS}
    prompts = {f"prompts.*.{name}" for name in prompts_table.KEYS}
    numbers = {f"tools.{name}" for name in tools_table.BOUNDS}
    client = {f"tools.client[].{name}" for name in tools_table.CLIENT_KEYS}
    servers = {f"tools.mcp[].{name}" for name in tool_servers_table.KEYS}
    inner = {*prices, *memory, *prompts, *numbers, *client, *servers}
    assert sorted(listed) == sorted({*KEYS, *inner})


def test_every_code_on_the_page_exists() -> None:
    text = page("docs/http_api.md")
    codes = re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text)

    assert set(codes) - set(PROBLEM_TYPES) == set()


def test_the_documented_routes_are_the_real_ones() -> None:
    assert documented_routes(page("docs/http_api.md")) == real_routes()


def test_openapi_describes_every_route_of_the_protocol() -> None:
    paths = document(ROUTES)["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}

    assert {route for route in described if not route[1].startswith(PREFIX)} == real_routes()


def test_a_documented_route_that_does_not_exist_is_found() -> None:
    assert documented_routes("text\n### `PUT /api/made-up`\n") - real_routes() != set()


@pytest.mark.parametrize(
    ("section", "listed"),
    [
        ("To run", PYPROJECT["project"]["dependencies"]),
        ("To use tool servers", PYPROJECT["project"]["optional-dependencies"]["mcp"]),
        ("To test", PYPROJECT["project"]["optional-dependencies"]["test"]),
    ],
)
def test_exactly_the_dependencies_are_documented_with_a_reason(
    section: str, listed: Sequence[str]
) -> None:
    table = rows(page("docs/dependencies.md"), under=section)

    assert sorted(names(table)) == required(listed)
    assert all(len(row) == 3 and row[1] and row[2] for row in table)


def test_a_dependency_is_read_without_its_bounds() -> None:
    assert required(["uvloop>=0.23; sys_platform != 'win32'", "a-b_c[x]<2"]) == ["a-b_c", "uvloop"]


def test_every_command_the_documentation_names_exists() -> None:
    known = {
        command.name or getattr(command.callback, "__name__", "")
        for command in command_line.registered_commands
    }
    # Decisions may be ahead of the code.
    pages = [path for path in own_files() if path.suffix == ".md" and "decisions" not in path.parts]
    code = "\n".join(
        part for path in pages for part in re.findall(r"`[^`]+`", path.read_text("utf-8"))
    )

    assert set(COMMAND.findall(code)) - known == set()
    assert {"serve", "chat", "new-key", "new-client-key"} <= known
