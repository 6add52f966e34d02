"""The hook in examples/rag_hook as a running server."""

import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.architecture.sources import ROOT
from tests.support.hook_server import SECRET
from tests.support.mcp_server import serving


@asynccontextmanager
async def example_hook() -> AsyncIterator[str]:
    """The URL of the hook, which accepts requests that are signed with ``SECRET``."""
    spec = importlib.util.spec_from_file_location("rag_hook", ROOT / "examples/rag_hook/hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVITY_HOOK_SECRET", SECRET)
        spec.loader.exec_module(module)
        async with serving(module.app) as address:
            yield address.removesuffix("/mcp") + "/prepare"
    module.INDEX.close()
