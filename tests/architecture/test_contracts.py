"""The import contracts in pyproject.toml hold, catch what they forbid, and cover every package."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import FOLDERS, PYPROJECT, ROOT, run_python

CONTRACTS: Sequence[Mapping[str, Any]] = PYPROJECT["tool"]["importlinter"]["contracts"]
LINTING = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
BROKEN = re.compile(r"^(.+) BROKEN(?: \(.*\))?$", re.MULTILINE)

PLANTED = [
    ("Layers import in one direction", "domain/planted.py", "import ports.clock"),
    (
        "Layers import in one direction",
        "ports/planted.py",
        "def f():\n    import adapters.system.clock",
    ),
    (
        "Layers import in one direction",
        "adapters/system/planted.py",
        "import entrypoints.usecases.stop_turn",
    ),
    (
        "Use cases see ports and domain only",
        "entrypoints/usecases/planted.py",
        "from adapters.system.clock import SystemClock",
    ),
    ("Use cases see ports and domain only", "entrypoints/usecases/planted.py", "import msgspec"),
    (
        "Shared HTTP code knows no protocol",
        "entrypoints/http/server.py",
        "from entrypoints.http.openai.errors import openai_error",
    ),
    (
        "Shared HTTP code knows no protocol",
        "entrypoints/http/health.py",
        "import entrypoints.http.chat",
    ),
    (
        "Protocols do not know each other",
        "entrypoints/http/native/planted.py",
        "from entrypoints.http.ai_sdk.bodies import AiSdkBody",
    ),
    (
        "Adapters do not know each other",
        "adapters/in_memory/planted.py",
        "from adapters.system.clock import SystemClock",
    ),
    ("cryptography only in sealing", "entrypoints/planted.py", "import cryptography.fernet"),
    ("redis only in encrypted_redis", "adapters/sealing/planted.py", "import redis.asyncio"),
    ("mcp only in tool_servers", "adapters/turn_hook/planted.py", "import httpx2"),
    ("mcp only in tool_servers", "entrypoints/planted.py", "from mcp.client import Client"),
    ("starlette only in http", "domain/planted.py", "import starlette"),
    ("starlette only in http", "entrypoints/cli/planted.py", "import starlette.routing"),
    ("punq only in the container", "entrypoints/http/planted.py", "import punq"),
]
HOMES = {
    "redis only in encrypted_redis": {"adapters.encrypted_redis"},
    "cryptography only in sealing": {"adapters.sealing"},
    "starlette only in http": {"entrypoints.http"},
    "punq only in the container": {"entrypoints.container"},
}


def modules_in(folder: str) -> list[str]:
    """The modules and packages that lie directly in ``folder``, dotted."""
    return [
        f"{folder.replace('/', '.')}.{path.stem}"
        for path in sorted((ROOT / folder).iterdir())
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    ]


OWN_PACKAGES = ["domain", "ports", *modules_in("adapters"), *modules_in("entrypoints")]
HTTP_MODULES = modules_in("entrypoints/http")


def broken_contracts(root: Path) -> list[str]:
    process = run_python(LINTING, root=root)
    broken = BROKEN.findall(process.stdout)
    assert bool(broken) == bool(process.returncode), process.stdout + process.stderr
    return broken


def uncovered(contract: Mapping[str, Any], home: set[str], packages: Sequence[str]) -> list[str]:
    """The packages that an 'only in' contract neither checks nor allows."""
    covered = {*contract["source_modules"], *home}
    return [name for name in packages if not {name, name.split(".")[0]} & covered]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        caches = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=caches)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_holds() -> None:
    assert broken_contracts(ROOT) == []


def test_every_contract_holds_for_a_copy(copy: Path) -> None:
    assert broken_contracts(copy) == []


@pytest.mark.parametrize(("contract", "path", "line"), PLANTED)
def test_a_forbidden_import_is_caught(copy: Path, contract: str, path: str, line: str) -> None:
    (copy / path).write_text(f'"""Planted."""\n\n{line}\n')

    assert broken_contracts(copy) == [contract]


def test_every_contract_has_a_planted_import() -> None:
    assert {contract for contract, _, _ in PLANTED} == {one["name"] for one in CONTRACTS}


def test_the_layers_and_the_independent_adapters_are_complete() -> None:
    by_name = {contract["name"]: contract for contract in CONTRACTS}
    adapters = [name for name in OWN_PACKAGES if name.startswith("adapters.")]

    assert sorted(by_name["Layers import in one direction"]["layers"]) == sorted(FOLDERS)
    assert sorted(by_name["Adapters do not know each other"]["modules"]) == adapters


def test_every_module_of_http_is_shared_or_of_one_protocol_or_combines_them() -> None:
    by_name = {contract["name"]: contract for contract in CONTRACTS}
    shared = by_name["Shared HTTP code knows no protocol"]
    protocols = by_name["Protocols do not know each other"]["modules"]
    together = ["entrypoints.http.app", "entrypoints.http.chat"]

    assert shared["forbidden_modules"] == protocols
    assert sorted([*shared["source_modules"], *protocols, *together]) == sorted(HTTP_MODULES)


@pytest.mark.parametrize("name", HOMES)
def test_every_package_is_covered_by_the_contracts_about_libraries(name: str) -> None:
    [contract] = [one for one in CONTRACTS if one["name"] == name]

    assert uncovered(contract, HOMES[name], OWN_PACKAGES) == []


def test_an_uncovered_package_is_found() -> None:
    contract = {"source_modules": ["domain", "ports", "adapters", "entrypoints.cli"]}
    packages = ["domain", "adapters.new", "entrypoints.http", "entrypoints.new"]

    assert uncovered(contract, {"entrypoints.http"}, packages) == ["entrypoints.new"]
