"""The tools in the assistant's file."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.assistant_profile.toml_file import ProfileProblem, load_assistant
from domain.model.prompt import Tool
from domain.model.tool_settings import McpServer, ToolSettings

MINIMAL = 'system_prompt = "Be kind."\n[welcome]\nen = "Hello!"\n'
MAP = '[[tools.client]]\nname = "show_map"\ndescription = "Shows a map."\n'
LIBRARY = '[[tools.mcp]]\nname = "library"\nurl = "https://tools.example.org/mcp"\n'
PLANTED = "planted-secret"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "assistant.toml"


def tools_in(file: Path, text: str) -> ToolSettings:
    file.write_text(MINIMAL + text, "utf-8")
    return load_assistant(file).tools


def problems_in(file: Path, text: str) -> list[str]:
    file.write_text(MINIMAL + text, "utf-8")
    with pytest.raises(ProfileProblem) as problem:
        load_assistant(file)
    return problem.value.problems


def test_tools_are_optional(file: Path) -> None:
    assert tools_in(file, "") == ToolSettings()
    assert tools_in(file, "[tools]\n") == ToolSettings(max_steps=8, timeout=timedelta(seconds=30))


def test_the_bounds_of_a_reply_with_tools_can_be_set(file: Path) -> None:
    tools = tools_in(file, "[tools]\nmax_steps = 3\ntimeout_seconds = 5\n")

    assert (tools.max_steps, tools.timeout) == (3, timedelta(seconds=5))


def test_the_schema_of_a_client_tool_may_be_a_table_or_json(file: Path) -> None:
    schema = {"type": "object", "properties": {"place": {"type": "string"}}}
    as_table = "[tools.client.parameters]\ntype = 'object'\nproperties.place.type = 'string'\n"

    [first] = tools_in(file, MAP + as_table).client
    [second] = tools_in(file, f"{MAP}parameters = '{json.dumps(schema)}'\n").client

    assert (first.name, first.description) == ("show_map", "Shows a map.")
    assert json.loads(first.parameters) == json.loads(second.parameters) == schema


def test_a_client_tool_without_a_schema_has_no_arguments(file: Path) -> None:
    schema = '{"type": "object", "properties": {}}'

    [tool] = tools_in(file, MAP).client

    assert tool == Tool(name="show_map", description="Shows a map.", parameters=schema)


def test_a_tool_server_is_read_with_the_values_of_its_headers(file: Path) -> None:
    (file.parent / "secret").write_text(f"  {PLANTED}\n", "utf-8")
    headers = (
        'headers = { Authorization = { file = "secret", prefix = "Bearer " }, X-Team = "blue" }\n'
    )
    lists = 'allowed = ["search", "reserve"]\nnever_repeat = ["reserve"]\n'

    tools = tools_in(file, LIBRARY + headers + lists)

    assert tools.servers == (
        McpServer(
            name="library",
            url="https://tools.example.org/mcp",
            headers={"Authorization": f"Bearer {PLANTED}", "X-Team": "blue"},
            allowed=frozenset({"search", "reserve"}),
            never_repeat=frozenset({"reserve"}),
        ),
    )
    assert PLANTED not in repr(tools)


def test_a_header_may_come_from_a_file_as_it_is(file: Path) -> None:
    secret = file.parent / "secret"
    secret.write_text("Basic abc", "utf-8")

    [server] = tools_in(
        file, f'{LIBRARY}headers.Authorization.file = "{secret}"\nallowed = []\n'
    ).servers

    assert dict(server.headers) == {"Authorization": "Basic abc"}
    assert (server.allowed, server.never_repeat) == (frozenset(), frozenset())


@pytest.mark.parametrize("url", ["http://localhost:8931/mcp", "http://127.0.0.1/", "http://[::1]/"])
def test_a_server_on_this_machine_needs_no_tls(file: Path, url: str) -> None:
    [server] = tools_in(file, f'[[tools.mcp]]\nname = "a"\nurl = "{url}"\n').servers

    assert server.url == url


def test_plaintext_to_another_machine_can_be_allowed(file: Path) -> None:
    text = '[[tools.mcp]]\nname = "a"\nurl = "http://tools:80/mcp"\n'

    assert problems_in(file, text) == [
        (
            "tools.mcp[1].url connects to another machine without TLS. Use https://, or set "
            'plaintext = "allow".'
        )
    ]
    assert tools_in(file, f'{text}plaintext = "allow"\n').servers[0].url == "http://tools:80/mcp"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tools = 1", "tools must be a table."),
        ("[tools]\nmax_step = 3", "tools.max_step is not a known key; did you mean tools.max_"),
        ("[tools]\nmax_steps = 0", "tools.max_steps must be a whole number from 1 to 64."),
        ("[tools]\ntimeout_seconds = true", "tools.timeout_seconds must be a whole number from"),
        ("[tools.client]\nname = 'a'", "tools.client must be a list of tables: [[tools.client]]"),
        (f"{MAP}strict = true", "tools.client[1].strict is not a known key."),
        ('[[tools.client]]\ndescription = "a"', "tools.client[1].name must have 1 to 64 char"),
        (MAP.replace("show_map", "show map"), "tools.client[1].name must have 1 to 64 char"),
        ('[[tools.client]]\nname = "a"', "tools.client[1].description must be a non-empty"),
        (f"{MAP}parameters = 3", "tools.client[1].parameters must be a JSON Schema"),
        (f"{MAP}parameters = '['", "tools.client[1].parameters must be a JSON Schema"),
        (f"{MAP}parameters = '[]'", "tools.client[1].parameters must be a JSON Schema"),
        (f"{MAP}parameters = {{ type = 'string' }}", "tools.client[1].parameters must be a JSON"),
        (f"{MAP}parameters = {{ type = 'object', x = inf }}", "tools.client[1].parameters must"),
        (f"{MAP}parameters = {{ type = 'object', x = 1979-05-27 }}", "tools.client[1].parameters "),
        (MAP + MAP, "tools.client has two tools with the name show_map."),
        (MAP.replace("Shows", 66_000 * "a"), "tools.client has more than 65,536 bytes of names,"),
        ("[tools.mcp]\nname = 'a'", "tools.mcp must be a list of tables: [[tools.mcp]]"),
        (f"{LIBRARY}timeout = 1", "tools.mcp[1].timeout is not a known key."),
        (LIBRARY.replace("library", ""), "tools.mcp[1].name must have 1 to 64 characters"),
        (LIBRARY + LIBRARY, "tools.mcp has two servers with the name library."),
        ('[[tools.mcp]]\nname = "a"', "tools.mcp[1].url must be an http or https URL without"),
        (f"{LIBRARY}allowed = 'all'", "tools.mcp[1].allowed must be a list of the names of tools."),
        (f"{LIBRARY}never_repeat = [1]", "tools.mcp[1].never_repeat must be a list of the names"),
        (f"{LIBRARY}plaintext = true", 'tools.mcp[1].plaintext can only be "allow".'),
        (f"{LIBRARY}headers = 'a'", "tools.mcp[1].headers must be a table."),
        (f"{LIBRARY}headers.'a b' = 'c'", "tools.mcp[1].headers.a b is not the name of a header."),
        (f"{LIBRARY}headers.Host = 'c'", "tools.mcp[1].headers.Host cannot be set: the service"),
        (f"{LIBRARY}headers.a = 'é'", "tools.mcp[1].headers.a is not a valid value of a header."),
        (f"{LIBRARY}headers.a = 1", "tools.mcp[1].headers.a must be a string, or the path of a fi"),
        (f"{LIBRARY}headers.a = {{ path = 'b' }}", "tools.mcp[1].headers.a must be a string, or"),
        (f"{LIBRARY}headers.a.file = 'none'", "tools.mcp[1].headers.a names a file that cannot be"),
        (f"{LIBRARY}headers = {{ a = 'b', A = 'c' }}", "tools.mcp[1].headers has the header a twi"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(file: Path, text: str, problem: str) -> None:
    document = f"{text}\n{MINIMAL}" if text.startswith("tools =") else f"{MINIMAL}{text}\n"
    file.write_text(document, "utf-8")

    with pytest.raises(ProfileProblem) as found:
        load_assistant(file)

    assert len(found.value.problems) == 1
    assert found.value.problems[0].startswith(problem)


@pytest.mark.parametrize(
    "url",
    [
        "tools.example.org",
        "ftp://tools.example.org",
        "https://",
        "https://user:planted@tools.example.org",
        "https://tools.example.org/#planted",
        "https://tools.example.org:99999",
        "https://tools.example.org/a b",
    ],
)
def test_an_invalid_url_is_not_repeated(file: Path, url: str) -> None:
    problems = problems_in(file, f'[[tools.mcp]]\nname = "a"\nurl = "{url}"\n')

    assert problems == [
        "tools.mcp[1].url must be an http or https URL without user, password or #."
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b" \n", "names a file that is empty."),
        (b"planted\nsecret", "names a file with more than one line."),
        (b"\xff\xfe", "names a file that cannot be read."),
    ],
)
def test_a_wrong_file_of_a_header_is_named_without_its_content(
    file: Path, content: bytes, problem: str
) -> None:
    (file.parent / "secret").write_bytes(content)
    header = 'headers.Authorization = { file = "secret", prefix = "Bearer " }\n'

    assert problems_in(file, LIBRARY + header) == [f"tools.mcp[1].headers.Authorization {problem}"]


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-API-Key"])
def test_a_header_that_holds_a_secret_must_come_from_a_file(file: Path, name: str) -> None:
    [problem] = problems_in(file, f'{LIBRARY}headers.{name} = "{PLANTED}"\n')

    assert problem.startswith(f"tools.mcp[1].headers.{name} must come from a file")
    assert PLANTED not in problem


def test_too_many_servers_are_refused(file: Path) -> None:
    servers = "".join(LIBRARY.replace("library", f"library{n}") for n in range(17))

    assert problems_in(file, servers) == ["tools.mcp can have at most 16 servers."]
