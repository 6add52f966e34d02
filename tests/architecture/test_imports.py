"""The domain is pure, imports point inwards, and importing a module has no side effects."""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from pkgutil import resolve_name

import pytest

from tests.architecture.sources import (
    FOLDERS,
    PYPROJECT,
    ROOT,
    imported,
    module_name,
    parsed,
    python_files,
    run_python,
    short,
)

MAY_IMPORT = {
    "domain": {"attrs", "domain"},
    "ports": {"attrs", "domain", "ports"},
    "entrypoints/usecases": {"attrs", "domain", "ports", "entrypoints.usecases"},
}
OUTSIDE_WORLD = {
    *("asyncio", "time", "random", "secrets", "threading", "multiprocessing", "subprocess"),
    *("os", "pathlib", "io", "socket", "ssl", "http", "urllib.request", "logging", "tempfile"),
    *("uuid.uuid1", "uuid.uuid4", "uuid.uuid6", "uuid.uuid7", "datetime.datetime.now"),
}
CLOCK_AND_RANDOMNESS = {"now", "utcnow", "today", "urandom", "uuid1", "uuid4"}
INPUT_AND_OUTPUT = {"open", "print", "input"}
OWN = {*FOLDERS, "tests"}
Awaiting = ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith


def is_within(name: str, allowed: set[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


def foreign_imports(tree: ast.AST, allowed: set[str]) -> list[str]:
    permitted = allowed | set(sys.stdlib_module_names)
    return sorted(name for name in imported(tree) if not is_within(name, permitted))


def impurities(tree: ast.AST) -> Iterator[str]:
    """Everything in ``tree`` that awaits or uses the clock, randomness or the outside world."""
    yield from (name for name in imported(tree) if is_within(name, OUTSIDE_WORLD))
    for node in ast.walk(tree):
        if isinstance(node, Awaiting):
            yield type(node).__name__
        elif isinstance(node, ast.Attribute) and node.attr in CLOCK_AND_RANDOMNESS:
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in INPUT_AND_OUTPUT:
            yield ast.unparse(node.func)


def third_party(tree: ast.AST) -> set[str]:
    return {name.split(".")[0] for name in imported(tree)} - {*FOLDERS, *sys.stdlib_module_names}


def missing(tree: ast.AST) -> list[str]:
    """What ``tree`` imports from this repository, but is not there."""
    return sorted(name for name in imported(tree) if is_within(name, OWN) and not is_there(name))


def is_there(name: str) -> bool:
    try:
        resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


FROM_MCP = {"mcp_types", "httpx2"}
"""Packages whose classes the package ``mcp`` takes and returns; it installs them."""


def declared() -> set[str]:
    project = PYPROJECT["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["mcp"]]
    return {re.split(r"[<>=;\[ ]", line)[0] for line in lines} | FROM_MCP


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_the_inner_layers_import_only_what_they_may(folder: str) -> None:
    foreign = {
        short(path): names
        for path in python_files(folder)
        if (names := foreign_imports(parsed(path), MAY_IMPORT[folder]))
    }

    assert foreign == {}


def test_a_foreign_import_is_found_anywhere_in_a_file() -> None:
    hidden = "import attrs\ndef f():\n    from starlette.routing import Route\nimport adapters.x"
    relative = "from . import message"

    assert foreign_imports(ast.parse(hidden), MAY_IMPORT["domain"]) == [
        "adapters.x",
        "starlette.routing.Route",
    ]
    assert foreign_imports(ast.parse(relative), MAY_IMPORT["domain"]) == [".message"]


def test_the_domain_neither_awaits_nor_uses_clock_or_randomness() -> None:
    impure = {short(path): [*impurities(parsed(path))] for path in python_files("domain")}

    assert {path: found for path, found in impure.items() if found} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "async def f(): ...",
        "datetime.now(UTC)",
        "import time",
        "from time import monotonic",
        "import random",
        "from secrets import token_bytes",
        "from uuid import uuid4",
        "uuid.uuid4()",
        "open('x')",
    ],
)
def test_an_impurity_is_found(planted: str) -> None:
    assert [*impurities(ast.parse(planted))] != []


def test_the_product_imports_only_its_four_folders_and_declared_dependencies() -> None:
    # import-linter would take a fifth folder for an external package without layers.
    undeclared = {
        short(path): names
        for path in python_files(*FOLDERS)
        if (names := third_party(parsed(path)) - declared())
    }

    assert undeclared == {}


def test_an_import_of_tests_is_found() -> None:
    assert third_party(ast.parse("from tests.support.builders import OWNER")) - declared() == {
        "tests"
    }


def test_the_scripts_import_only_names_that_exist() -> None:
    """No other test runs them."""
    scripts = python_files("benchmarks", "examples", "tools")
    found = {short(path): names for path in scripts if (names := missing(parsed(path)))}

    assert found == {}


def test_an_import_of_a_missing_name_is_found() -> None:
    tree = ast.parse("from domain.model.turn import Turn, Tune\nimport ports.nothing")

    assert missing(tree) == ["domain.model.turn.Tune", "ports.nothing"]


def test_the_wheel_and_import_linter_have_the_same_four_folders() -> None:
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert wheel["only-include"] == ["privity", *FOLDERS]
    assert wheel["sources"] == {folder: f"privity/application/{folder}" for folder in FOLDERS}
    assert PYPROJECT["tool"]["importlinter"]["root_packages"] == [*FOLDERS]
    assert all((ROOT / folder / "__init__.py").is_file() for folder in FOLDERS)


IMPORTING = """
import _thread, importlib, os, sys, threading
opened = []
def hook(event, args):
    if event == "open":
        path, mode, flags = args
        # Python itself opens its null device for a process without a terminal.
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and path != os.devnull:
            opened.append(f"{event} {path}")
    elif event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen",
                   "os.system", "os.fork", "os.posix_spawn"):
        opened.append(event)
def start_thread(*args, start=_thread.start_new_thread, **kwargs):
    opened.append("thread")
    return start(*args, **kwargs)
# Python 3.11 has no audit event for threads.
_thread.start_new_thread = threading._start_new_thread = start_thread
sys.addaudithook(hook)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*opened, sep="\\n")
"""


def opened_by_importing(modules: Sequence[str], root: Path = ROOT) -> list[str]:
    process = run_python(IMPORTING, *modules, root=root)
    assert process.returncode == 0, process.stderr
    return process.stdout.split("\n")[:-1] if process.stdout.strip() else []


def test_importing_any_module_opens_nothing() -> None:
    assert opened_by_importing([module_name(path) for path in python_files(*FOLDERS)]) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import socket; socket.socket().connect_ex(('127.0.0.1', 9))",
        "import socket; socket.socket().bind(('127.0.0.1', 0))",
        "import threading; threading.Thread(target=print, args=('',)).start()",
        "import subprocess; subprocess.run(['true'])",
        "open('written', 'w')",
    ],
)
def test_a_module_that_opens_something_on_import_is_found(planted: str, tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(planted)

    assert opened_by_importing(["planted"], tmp_path) != []
