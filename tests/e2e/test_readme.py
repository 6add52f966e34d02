"""The README's session with curl."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.architecture.test_pages import marked_commands
from tests.support.fake_model import EchoModel
from tests.support.service import running_service

SESSION = marked_commands((ROOT / "README.md").read_text("utf-8"))["session"]


async def test_the_session_works_and_leaves_no_file(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    clone, temporary = tmp_path / "clone", tmp_path / "temporary"
    clone.mkdir()
    temporary.mkdir()
    async with running_service(model=EchoModel()) as service:
        process = await asyncio.create_subprocess_exec(
            *("sh", "-eu", "-c", SESSION.replace("localhost:8000", service.url)),
            cwd=clone,
            env={**os.environ, "TMPDIR": str(temporary)},
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
    *_, second, history, deleted, gone = out.decode().splitlines()

    assert (process.returncode, err.decode()) == (0, "")
    assert "My favourite colour is teal. / What did I tell you?" in second
    assert len(json.loads(history)["messages"]) == 4
    assert (deleted, json.loads(gone)["status"]) == ("204", 404)
    assert [*clone.iterdir(), *temporary.iterdir()] == []
