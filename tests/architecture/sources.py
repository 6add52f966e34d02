"""The files of the project and their syntax trees, for tests that read them."""

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("domain", "ports", "adapters", "entrypoints")
PYPROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(*folders: str, root: Path = ROOT) -> Sequence[Path]:
    return sorted(path for folder in folders for path in (root / folder).rglob("*.py"))


def own_files(root: Path = ROOT) -> Iterator[Path]:
    """Every file that .gitignore does not exclude."""
    ignored = [line.strip("/ ") for line in (root / ".gitignore").read_text("utf-8").splitlines()]
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_ignored(name, [".git", *ignored]))
        for name in sorted(names):
            if not _is_ignored(name, [".git", *ignored]):
                yield Path(folder) / name


def _is_ignored(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns if pattern)


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST) -> set[str]:
    """The dotted name of everything that is imported; a relative name starts with a dot."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (f"{node.module}." if node.module else "")
            names.update(f"{base}{alias.name}" for alias in node.names)
    return names


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node


def file_lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def class_lines(kind: ast.ClassDef) -> int:
    return _lines(kind)


def function_lines(function: Function) -> int:
    """The lines of a function without its docstring."""
    docstring = _lines(function.body[0]) if ast.get_docstring(function) is not None else 0
    return _lines(function) - docstring


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def run_python(code: str, *arguments: str, root: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run ``code`` in a new Python process with the packages under ``root`` and without caches."""
    environment = {**os.environ, "PYTHONPATH": str(root), "COVERAGE_PROCESS_START": ""}
    return subprocess.run(  # noqa: S603 - our own interpreter, our own code
        [sys.executable, "-B", "-c", code, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
