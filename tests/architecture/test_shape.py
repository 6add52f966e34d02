"""Files and functions stay short, ports say what they promise, every port has its suite."""

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.architecture.sources import (
    FOLDERS,
    ROOT,
    functions,
    length,
    parsed,
    python_files,
    short,
)

MAX_PORT_LINES = 150
MAX_FILE_LINES = 400
MAX_CLASS_LINES = 250
MAX_FUNCTION_LINES = 40


def too_long(paths: Sequence[Path], most: int) -> dict[str, int]:
    counted = {short(path): len(path.read_text("utf-8").splitlines()) for path in paths}
    return {path: lines for path, lines in counted.items() if lines > most}


def long_functions(tree: ast.AST) -> list[tuple[str, int]]:
    lengths = [(found.name, length(found)) for found in functions(tree)]
    return [(name, lines) for name, lines in lengths if lines > MAX_FUNCTION_LINES]


def long_classes(tree: ast.AST) -> list[tuple[str, int]]:
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    lengths = [(kind.name, (kind.end_lineno or 0) - kind.lineno + 1) for kind in classes]
    return [(name, lines) for name, lines in lengths if lines > MAX_CLASS_LINES]


def protocols(tree: ast.AST) -> list[ast.ClassDef]:
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return [kind for kind in classes if any("Protocol" in ast.unparse(b) for b in kind.bases)]


def silent_methods(tree: ast.AST) -> list[str]:
    return [
        f"{kind.name}.{method.name}"
        for kind in protocols(tree)
        for method in functions(kind)
        if ast.get_docstring(method) is None
    ]


def port_of(suite: str, ports: Sequence[str]) -> str | None:
    """The port whose contract ``suite`` tests; absent when no port has that name."""
    named = [port for port in ports if suite == port or suite.startswith(f"{port}_")]
    return max(named, key=len, default=None)


def tries(tree: ast.AST) -> list[int]:
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Try | ast.TryStar)]


def ports_with_a_protocol() -> list[str]:
    return [path.stem for path in python_files("ports") if protocols(parsed(path))]


def contract_suites() -> list[str]:
    found = (ROOT / "tests" / "contract").glob("test_*.py")
    return sorted(path.stem.removeprefix("test_") for path in found)


def test_no_port_is_longer_than_150_lines() -> None:
    assert too_long(python_files("ports"), MAX_PORT_LINES) == {}


def test_no_file_is_longer_than_400_lines() -> None:
    assert too_long(python_files(*FOLDERS, "tests"), MAX_FILE_LINES) == {}


def test_a_long_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("x = 1\n" * 401)

    assert too_long([path], MAX_FILE_LINES) == {"long.py": 401}


def test_no_function_is_longer_than_40_lines() -> None:
    found = {short(path): long_functions(parsed(path)) for path in python_files(*FOLDERS, "tests")}

    assert {path: names for path, names in found.items() if names} == {}


def test_a_long_function_is_seen_and_its_docstring_does_not_count() -> None:
    def of_lines(count: int) -> ast.AST:
        body = "    x = 1\n" * (count - 1)
        return ast.parse(f'async def f() -> None:\n    """A.\n\n    B.\n    """\n{body}')

    assert long_functions(of_lines(40)) == []
    assert long_functions(of_lines(41)) == [("f", 41)]


def test_no_class_is_longer_than_250_lines() -> None:
    found = {short(path): long_classes(parsed(path)) for path in python_files(*FOLDERS, "tests")}

    assert {path: names for path, names in found.items() if names} == {}


def test_a_long_class_is_seen() -> None:
    def of_lines(count: int) -> ast.AST:
        return ast.parse("class A:\n" + "    x = 1\n" * (count - 1))

    assert long_classes(of_lines(250)) == []
    assert long_classes(of_lines(251)) == [("A", 251)]


def test_every_method_of_a_port_says_what_it_promises() -> None:
    silent = {short(path): silent_methods(parsed(path)) for path in python_files("ports")}

    assert {path: methods for path, methods in silent.items() if methods} == {}


def test_a_silent_method_is_seen() -> None:
    planted = 'class Port(Protocol):\n    async def load(self) -> str: ...\n    def x(self): "X."'

    assert silent_methods(ast.parse(planted)) == ["Port.load"]


@pytest.mark.parametrize("port", ports_with_a_protocol())
def test_every_port_has_a_contract_suite(port: str) -> None:
    assert port in {port_of(suite, ports_with_a_protocol()) for suite in contract_suites()}


def test_every_contract_suite_belongs_to_a_port() -> None:
    known = [path.stem for path in python_files("ports")]

    assert [suite for suite in contract_suites() if port_of(suite, known) is None] == []


def test_a_suite_is_matched_to_its_port_by_name() -> None:
    ports = ["turn", "turn_log"]

    assert port_of("turn_log_races", ports) == "turn_log"
    assert port_of("turning", ports) is None


ROUTE_MAKERS = ("Route", "Endpoint", "ApiEndpoint")


def route_files() -> list[Path]:
    """Every file under ``entrypoints/http`` that declares routes, whatever its protocol."""
    return [
        path
        for path in python_files("entrypoints/http")
        if any(
            isinstance(node, ast.Call) and ast.unparse(node.func) in ROUTE_MAKERS
            for node in ast.walk(parsed(path))
        )
    ]


def test_routes_of_every_protocol_are_found() -> None:
    families = {short(path).split("/")[2] for path in route_files()}

    assert families >= {"native", "ai_sdk", "openai", "page", "chat.py", "health.py", "openapi.py"}


def test_no_route_catches_an_error() -> None:
    found = {short(path): tries(parsed(path)) for path in route_files()}

    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_try_is_seen() -> None:
    planted = "async def route(request):\n    try:\n        pass\n    finally:\n        pass"

    assert tries(ast.parse(planted)) == [2]
