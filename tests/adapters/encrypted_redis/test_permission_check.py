"""The permission check, the docs and Compose know every command that the Redis adapter sends."""

import ast
import re
from collections.abc import Iterator

from adapters.encrypted_redis import keys_and_scripts
from adapters.encrypted_redis.keys_and_scripts import Script
from adapters.encrypted_redis.permission_check import (
    CONNECTION_COMMANDS,
    KEY_PATTERNS,
    NO_TOUCH,
    OPTIONAL_COMMANDS,
    name_of,
    trial_commands,
)
from tests.architecture.sources import parsed, python_files
from tests.support.doctor import documented_rules

IN_SCRIPT = re.compile(r"call\('([A-Z]+)'(?:, '([A-Z]+)')?")
METHODS = ("call_idempotent", "call_once")
"""The methods of ``RedisClient`` whose second argument is the command."""
DIRECT = ("call", "query_if_allowed", "reply_or_error", "_reply")
TRIED = {name_of(command) for part in trial_commands("x") for command in part.commands}
PERMITTED = {*TRIED, *CONNECTION_COMMANDS}


def in_script(script: Script) -> set[str]:
    return {name_of((first, second)) for first, second in IN_SCRIPT.findall(script.text)}


def in_code(tree: ast.AST) -> Iterator[str]:
    """The commands that are sent outside of scripts: constants in capitals."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).split(".")[-1]
            words = [
                argument.value
                for argument in node.args
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            ]
            commands = [word for word in words if word.isupper()]
            if name in (*METHODS, *DIRECT, "send") and commands:
                yield _rule(commands)


def _rule(words: list[str]) -> str:
    first = words[0].lower()
    has_subcommand = first in ("client", "config", "acl", "xinfo", "xgroup")
    return f"{first}|{words[1].lower()}" if has_subcommand else first


def test_every_command_of_every_script_is_tried() -> None:
    scripts = [value for value in vars(keys_and_scripts).values() if isinstance(value, Script)]
    used = set().union(*map(in_script, scripts))

    assert len(used) > 15
    assert used <= TRIED


def test_every_other_command_of_the_adapter_is_tried_or_optional() -> None:
    used = {
        name for path in python_files("adapters/encrypted_redis") for name in in_code(parsed(path))
    }

    assert used >= {"lrange", "xrange", "set", "get", "evalsha", "eval", "scan", "ping"}
    assert used <= {*PERMITTED, *OPTIONAL_COMMANDS, NO_TOUCH}


def test_no_command_is_required_that_is_not_used() -> None:
    scripts = [value for value in vars(keys_and_scripts).values() if isinstance(value, Script)]
    files = [
        path
        for path in python_files("adapters/encrypted_redis")
        if path.name not in ("permission_check.py", "diagnostics.py")
    ]
    used = set().union(*map(in_script, scripts), *(in_code(parsed(path)) for path in files))

    assert TRIED - used == set()


def test_the_documentation_lists_the_same_commands_and_keys() -> None:
    commands, patterns = documented_rules()

    assert {rule.removeprefix("+") for rule in commands} == {*PERMITTED, *OPTIONAL_COMMANDS}
    assert [pattern.removeprefix("~") for pattern in patterns] == list(KEY_PATTERNS)


def test_compose_permits_what_is_needed_and_no_more() -> None:
    from compose.prepare import COMMANDS  # noqa: PLC0415

    permitted = {rule.removeprefix("+") for rule in COMMANDS.split()}

    assert permitted == {*PERMITTED, *OPTIONAL_COMMANDS}
