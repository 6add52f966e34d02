"""Sizes have limits, no file is a fragment, ports are documented and tested, routes have no try."""

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.architecture.sources import (
    FOLDERS,
    ROOT,
    class_lines,
    classes,
    file_lines,
    function_lines,
    functions,
    imported,
    module_name,
    parsed,
    python_files,
    short,
)
from tests.architecture.test_imports import impurities

MAX_FILE_LINES = 400
MAX_CLASS_LINES = 250
MAX_PORT_LINES = 200
MAX_FUNCTION_LINES = 40

PYTHON_FILES = python_files(*FOLDERS, "tests")

MAX_FRAGMENT_LINES = 100
LISTS_OF_PARTS = {
    "entrypoints/cli/main.py",  # lists the commands
    "entrypoints/http/app.py",  # lists the routes of all protocols
    "entrypoints/settings.py",  # joins the settings of all subjects
}
"""The only files that may have a fragment: their subject is the list of the parts."""


def long_files(paths: Sequence[Path], limit: int) -> dict[str, int]:
    return {short(path): file_lines(path) for path in paths if file_lines(path) > limit}


def long_classes(tree: ast.AST) -> list[tuple[str, int]]:
    lengths = [(kind.name, class_lines(kind)) for kind in classes(tree)]
    return [(name, lines) for name, lines in lengths if lines > MAX_CLASS_LINES]


def long_functions(tree: ast.AST) -> list[tuple[str, int]]:
    lengths = [(function.name, function_lines(function)) for function in functions(tree)]
    return [(name, lines) for name, lines in lengths if lines > MAX_FUNCTION_LINES]


def test_no_file_is_longer_than_400_lines() -> None:
    assert long_files(PYTHON_FILES, MAX_FILE_LINES) == {}


def test_no_port_is_longer_than_200_lines() -> None:
    assert long_files(python_files("ports"), MAX_PORT_LINES) == {}


def test_a_file_over_the_limit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("x = 1\n" * 401)

    assert long_files([path], 401) == {}
    assert long_files([path], 400) == {"long.py": 401}


def test_no_class_is_longer_than_250_lines() -> None:
    found = {short(path): long_classes(parsed(path)) for path in PYTHON_FILES}

    assert {path: names for path, names in found.items() if names} == {}


def test_a_class_of_251_lines_is_found() -> None:
    def class_of(lines: int) -> ast.AST:
        return ast.parse("class A:\n" + "    x = 1\n" * (lines - 1))

    assert long_classes(class_of(250)) == []
    assert long_classes(class_of(251)) == [("A", 251)]


def test_no_function_is_longer_than_40_lines() -> None:
    found = {short(path): long_functions(parsed(path)) for path in PYTHON_FILES}

    assert {path: names for path, names in found.items() if names} == {}


def test_a_function_of_41_lines_is_found_and_its_docstring_does_not_count() -> None:
    def function_of(lines: int) -> ast.AST:
        body = "    x = 1\n" * (lines - 1)
        return ast.parse(f'async def f() -> None:\n    """A.\n\n    B.\n    """\n{body}')

    assert long_functions(function_of(40)) == []
    assert long_functions(function_of(41)) == [("f", 41)]


def fragments(root: Path = ROOT) -> dict[str, str]:
    """Short files that only one file of the same folder imports, with that file.

    A pure file stands alone if its user is not pure: it can be tested without a fake.
    """
    paths = [path for path in python_files(*FOLDERS, root=root) if path.name != "__init__.py"]
    users: dict[Path, list[Path]] = {path: [] for path in paths}
    by_name = {module_name(path, root): path for path in paths}
    for path in paths:
        names = imported(parsed(path))
        modules = {by_name.get(name) or by_name.get(name.rpartition(".")[0]) for name in names}
        for module in modules:
            if module is not None and module != path:
                users[module].append(path)
    return {
        path.relative_to(root).as_posix(): users[path][0].relative_to(root).as_posix()
        for path in paths
        if file_lines(path) < MAX_FRAGMENT_LINES and _is_fragment(path, users[path])
    }


def _is_fragment(path: Path, users: Sequence[Path]) -> bool:
    if len(users) != 1 or users[0].parent != path.parent:
        return False
    is_pure, has_pure_user = (not [*impurities(parsed(one))] for one in (path, users[0]))
    return has_pure_user or not is_pure


def test_no_file_is_a_fragment_of_another() -> None:
    found = {part: whole for part, whole in fragments().items() if whole not in LISTS_OF_PARTS}

    assert found == {}


@pytest.mark.parametrize(
    ("part", "whole", "is_fragment"),
    [
        ("import time", "import domain.part", True),
        ("x = 1", "import domain.part", True),
        ("x = 1", "import time, domain.part", False),
        ("import time\n" * 100, "import domain.part", False),
    ],
)
def test_a_fragment_is_found(tmp_path: Path, part: str, whole: str, *, is_fragment: bool) -> None:
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "part.py").write_text(part)
    (tmp_path / "domain" / "whole.py").write_text(whole)

    assert fragments(tmp_path) == ({"domain/part.py": "domain/whole.py"} if is_fragment else {})


def protocols(tree: ast.AST) -> list[ast.ClassDef]:
    return [kind for kind in classes(tree) if any("Protocol" in ast.unparse(b) for b in kind.bases)]


def undocumented_methods(tree: ast.AST) -> list[str]:
    return [
        f"{kind.name}.{method.name}"
        for kind in protocols(tree)
        for method in functions(kind)
        if ast.get_docstring(method) is None
    ]


def test_every_method_of_a_port_has_a_docstring() -> None:
    found = {short(path): undocumented_methods(parsed(path)) for path in python_files("ports")}

    assert {path: methods for path, methods in found.items() if methods} == {}


def test_a_method_without_a_docstring_is_found() -> None:
    planted = 'class Port(Protocol):\n    async def load(self) -> str: ...\n    def x(self): "X."'

    assert undocumented_methods(ast.parse(planted)) == ["Port.load"]


def ports_with_a_protocol() -> list[str]:
    return [path.stem for path in python_files("ports") if protocols(parsed(path))]


def contract_suites() -> list[str]:
    paths = (ROOT / "tests" / "contract").glob("test_*.py")
    return sorted(path.stem.removeprefix("test_") for path in paths)


def port_of(suite: str, ports: Sequence[str]) -> str | None:
    """The port whose contract ``suite`` tests; None if no port has that name."""
    matching = [port for port in ports if suite == port or suite.startswith(f"{port}_")]
    return max(matching, key=len, default=None)


@pytest.mark.parametrize("port", ports_with_a_protocol())
def test_every_port_has_a_contract_suite(port: str) -> None:
    assert port in {port_of(suite, ports_with_a_protocol()) for suite in contract_suites()}


def test_every_contract_suite_belongs_to_a_port() -> None:
    ports = [path.stem for path in python_files("ports")]

    assert [suite for suite in contract_suites() if port_of(suite, ports) is None] == []


def test_a_suite_is_matched_to_its_port_by_name() -> None:
    ports = ["turn", "turn_log"]

    assert port_of("turn_log_races", ports) == "turn_log"
    assert port_of("turning", ports) is None


ROUTE_MAKERS = ("Route", "Endpoint", "ApiEndpoint", "NativeEndpoint", "PublicEndpoint")


def route_files() -> list[Path]:
    """Every file under ``entrypoints/http`` that declares a route."""
    return [path for path in python_files("entrypoints/http") if declares_route(parsed(path))]


def declares_route(tree: ast.AST) -> bool:
    """Whether a ``Route`` is created, or a ``ROUTES`` is assigned by whatever helper."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(ast.unparse(call.func).split(".")[-1] in ROUTE_MAKERS for call in calls) or any(
        name.id == "ROUTES" and isinstance(name.ctx, ast.Store) for name in names
    )


def try_lines(tree: ast.AST) -> list[int]:
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Try | ast.TryStar)]


def test_the_routes_of_every_protocol_are_found() -> None:
    families = {short(path).split("/")[2] for path in route_files()}

    assert families >= {
        "native",
        "ai_sdk",
        "openai",
        "page",
        "api_reference",
        "chat.py",
        "health.py",
        "openapi.py",
    }


def test_no_file_with_routes_catches_an_error() -> None:
    found = {short(path): try_lines(parsed(path)) for path in route_files()}

    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "planted",
    ["x = Route('/', f)", "x = routing.Route('/', f)", "ROUTES: Final = (endpoint('/', f),)"],
)
def test_a_file_with_routes_is_found(planted: str) -> None:
    assert declares_route(ast.parse(planted))
    assert not declares_route(ast.parse("from a import ROUTES\napp = App([*ROUTES])"))


def test_a_try_is_found() -> None:
    planted = "async def route(request):\n    try:\n        pass\n    finally:\n        pass"

    assert try_lines(ast.parse(planted)) == [2]
