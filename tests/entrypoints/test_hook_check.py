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


def settings_for(url: str) -> Settings:
    return Settings(hook_url=url, hook_keys=(KEY,))


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
