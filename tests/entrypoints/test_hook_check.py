"""``privity hook-check``, and what ``doctor`` and ``serve`` say about the hook."""

import json
from pathlib import Path
from typing import Any

import pytest

from entrypoints.cli.hook_check import hook_findings, report_hook
from entrypoints.settings import Settings
from ports.findings import Finding, Level
from tests.support.hook_server import (
    KEY,
    SECRET,
    Planned,
    a_response,
    an_answer,
    fake_hook,
)
from tests.support.processes import run_cli
from tests.support.redis_servers import free_port

REFUSED = a_response(401)


HEAD = 'system_prompt = "Be kind."\n[welcome]\nen = "Hello!"\n'
CLIENT = '[[tools.client]]\nname = "map"\ndescription = "Shows a map."\n'
OPEN = '[[tools.mcp]]\nname = "library"\nurl = "https://tools.example/mcp"\n'
CLOSED = f'{OPEN}allowed = ["lend"]\n'


def settings_for(url: str, assistant_file: Path | None = None) -> Settings:
    return Settings(hook_url=url, hook_keys=(KEY,), assistant_file=assistant_file)


def an_assistant(folder: Path, *tables: str) -> Path:
    """An assistant's file with these tables."""
    file = folder / "assistant.toml"
    file.write_text("\n".join(dict.fromkeys((HEAD, *tables))))
    return file


async def test_a_good_hook_is_good() -> None:
    async with fake_hook(an_answer(reply="Hi"), REFUSED) as hook:
        findings = await hook_findings(settings_for(hook.url))
    first, second = hook.requests

    assert {finding.level for finding in findings} == {Level.GOOD}
    assert [finding.topic for finding in findings] == ["hook", "signature", "reply", "state"]
    assert findings[1].text == "it refuses a wrong one (status 401)"
    assert first.body == second.body
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


async def test_every_member_of_the_answer_is_shown() -> None:
    answer = an_answer(
        instructions="Be brief.",
        passages=[{"title": "T", "text": "xy", "url": "https://a.test/"}],
        tools=["search", {"name": "book"}],
        options={"temperature": 0.5, "toolChoice": "none"},
        state=[1, 2],
    )
    async with fake_hook(answer, REFUSED) as hook:
        _, _, *members = await hook_findings(settings_for(hook.url))

    assert [(member.topic, member.text) for member in members] == [
        ("instructions", "9 bytes, added after the system prompt"),
        ("passage 1", "T, 2 bytes, https://a.test/"),
        ("reply", "none, so the model is asked"),
        ("tools of the file", "search"),
        ("tools of the hook", "book"),
        ("options", "temperature 0.5, toolChoice none"),
        ("state", "5 bytes"),
    ]


@pytest.mark.parametrize(
    ("tools", "file", "found", "level"),
    [
        (["search"], CLIENT, "1 of the names in `tools`, so", Level.WARNING),
        (["search"], CLOSED, "1 of the names in `tools`, so", Level.WARNING),
        (["search", "buy"], OPEN, "2 of the names in `tools`; a tool server", Level.UNKNOWN),
    ],
)
async def test_a_name_that_is_not_in_the_file_is_found(
    tmp_path: Path, tools: list[str], file: str, found: str, level: Level
) -> None:
    async with fake_hook(an_answer(tools=["map", *tools]), REFUSED) as hook:
        findings = await hook_findings(settings_for(hook.url, an_assistant(tmp_path, CLIENT, file)))
    finding = findings[-1]

    assert (finding.level, finding.topic) == (level, "tools of the file")
    assert f"not in the assistant's file: {found}" in finding.text
    assert all(name in finding.advice and name not in finding.text for name in tools)


@pytest.mark.parametrize(
    ("answer", "file"),
    [
        ({"tools": ["map", "lend"]}, CLOSED),
        ({"tools": ["own", {"name": "own"}], "options": {"toolChoice": {"name": "own"}}}, CLOSED),
        ({"options": {"toolChoice": {"name": "map"}}}, ""),
        ({"options": {"toolChoice": "required"}}, OPEN),
        ({"tools": [{"name": "own"}], "options": {"toolChoice": "required"}}, ""),
        ({"tools": [], "options": {"toolChoice": "none"}}, ""),
    ],
)
async def test_tools_that_can_be_offered_are_good(
    tmp_path: Path, answer: dict[str, Any], file: str
) -> None:
    async with fake_hook(an_answer(**answer), REFUSED) as hook:
        findings = await hook_findings(settings_for(hook.url, an_assistant(tmp_path, CLIENT, file)))

    assert {finding.level for finding in findings} == {Level.GOOD}


@pytest.mark.parametrize(
    ("answer", "file", "found", "level"),
    [
        (
            {"tools": [], "options": {"toolChoice": "required"}},
            OPEN,
            'it is "required", but `tools` is empty',
            Level.WARNING,
        ),
        (
            {"options": {"toolChoice": "required"}},
            "",
            'it is "required", but the assistant\'s file has no tools',
            Level.WARNING,
        ),
        (
            {"tools": [{"name": "own"}], "options": {"toolChoice": {"name": "chosen"}}},
            OPEN,
            "it names a tool that is not in `tools`, so the model is not offered it",
            Level.WARNING,
        ),
        (
            {"options": {"toolChoice": {"name": "chosen"}}},
            CLOSED,
            "it names a tool that is not in the assistant's file",
            Level.WARNING,
        ),
        (
            {"options": {"toolChoice": {"name": "chosen"}}},
            OPEN,
            "it names a tool that is not in the assistant's file; a tool server may have it",
            Level.UNKNOWN,
        ),
    ],
)
async def test_a_choice_that_cannot_be_met_is_found(
    tmp_path: Path, answer: dict[str, Any], file: str, found: str, level: Level
) -> None:
    async with fake_hook(an_answer(**answer), REFUSED) as hook:
        findings = await hook_findings(settings_for(hook.url, an_assistant(tmp_path, file)))
    finding = findings[-1]

    assert (finding.topic, finding.text, finding.level) == ("toolChoice", found, level)
    assert finding.advice


async def test_the_start_does_not_repeat_names_of_the_hook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with fake_hook(an_answer(tools=["planted"]), REFUSED) as hook:
        await report_hook(settings_for(hook.url, an_assistant(tmp_path, CLIENT)))
    printed = capsys.readouterr()

    assert "The hook: not in the assistant's file: 1 of the names" in printed.err
    assert "planted" not in printed.err + printed.out


async def test_a_hook_that_accepts_every_signature_is_a_warning() -> None:
    async with fake_hook() as hook:
        findings = await hook_findings(settings_for(hook.url))

    assert findings[1].level is Level.WARNING
    assert findings[1].text == (
        "it accepts a wrong signature, so anybody who can reach it can use it"
    )


@pytest.mark.parametrize(
    ("answer", "text", "advice"),
    [
        (REFUSED, "it refuses the signature (status 401)", "PRIVITY_HOOK_SECRET"),
        (a_response(404), "it does not accept POST at this path (status 404)", "path"),
        (a_response(500), "it answers with status 500", "log"),
        (a_response(201, b"{}"), "it answers with status 201", "200, or with 204"),
        (a_response(308), "it redirects to another address", "PRIVITY_HOOK_URL"),
        (Planned(closes=True), "it closed the connection without an answer", "log"),
        (an_answer(planned=1), "the answer is not valid (unknown-field)", "`planned`"),
        (
            an_answer(passages=[{"title": "T"}]),
            "passages[0].text in the answer is not valid (missing-field)",
            "missing required field",
        ),
        (a_response(200, b"<html>"), "the answer is not JSON", "malformed"),
        (
            a_response(200, b"{}", content_type="text/plain"),
            "the content type of the answer is not application/json",
            "`content-type: application/json`",
        ),
    ],
)
async def test_each_problem_is_explained(answer: Planned, text: str, advice: str) -> None:
    async with fake_hook(answer) as hook:
        [finding] = await hook_findings(settings_for(hook.url))

    assert (finding.level, finding.topic) == (Level.PROBLEM, "hook")
    assert finding.text == f"{hook.url}: {text}"
    assert advice in finding.advice


async def test_without_a_hook_there_is_nothing_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    await report_hook(Settings())

    assert await hook_findings(Settings()) == [Finding(Level.GOOD, "hook", "none")]
    assert capsys.readouterr() == ("", "")


async def test_the_start_reports_a_hook_that_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    await report_hook(settings_for(url))
    printed = capsys.readouterr()

    assert f"The hook: {url}: nothing listens there." in printed.err + printed.out


async def test_the_start_reports_a_hook_that_answers(capsys: pytest.CaptureFixture[str]) -> None:
    async with fake_hook(an_answer(), REFUSED) as hook:
        await report_hook(settings_for(hook.url))

    assert "The hook answers." in capsys.readouterr().out


async def test_the_command_prints_the_findings_as_json(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    async with fake_hook(an_answer(), REFUSED) as hook:
        result = await run_cli(
            "hook-check", hook.url, "--secret-file", str(tmp_path / "secret"), "--json"
        )
    findings: Any = json.loads(result.out)

    assert (result.code, findings[0]["topic"], findings[0]["level"]) == (0, "hook", "ok")
    assert result.out.endswith("]\n")


async def test_the_command_needs_no_secret_to_try_a_hook_that_verifies_nothing() -> None:
    async with fake_hook() as hook:
        result = await run_cli("hook-check", hook.url)

    assert result.code == 1
    assert "unknown secret: " in result.out
    assert "warning signature: " in result.out


async def test_the_command_needs_a_hook() -> None:
    result = await run_cli("hook-check")

    assert (result.code, result.out) == (2, "")
    assert "Name the hook: add its URL, or set PRIVITY_HOOK_URL." in result.err
