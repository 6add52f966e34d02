"""What ``privity doctor`` finds in valid settings and at the public URL."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from entrypoints.cli import service_checks
from entrypoints.cli.service_checks import public_url_finding, settings_findings
from entrypoints.settings import Settings
from ports.findings import Finding, Level
from tests.support.redis_servers import free_port

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def found_in(**settings: object) -> dict[str, Finding]:
    return {finding.topic: finding for finding in settings_findings(Settings(**settings))}  # type: ignore[arg-type]


@asynccontextmanager
async def answering(
    status: int = 200, body: str = '{"status":"ok"}', tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """The origin of a server that gives this answer to every health check."""

    async def answer(_: web.Request) -> web.Response:
        headers = {"Location": "https://elsewhere.example/"} if status in range(300, 400) else {}
        return web.Response(status=status, text=body, headers=headers)

    app = web.Application()
    app.router.add_get("/health/live", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{port}"
    finally:
        await runner.cleanup()


AUTHORITY = trustme.CA()


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts ``AUTHORITY``."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def certificate(host: str, expires: datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(host, not_after=expires).configure_cert(context)
    return context


def test_the_defaults_are_good() -> None:
    assert {finding.level for finding in found_in().values()} == {Level.GOOD}


@pytest.mark.parametrize(
    ("topic", "settings", "advice"),
    [
        ("/v1", {"v1": True}, "PRIVITY_V1=closed"),
        ("limits", {"limits": False}, "PRIVITY_LIMITS"),
        ("proxies", {"public_url": "https://chat.example"}, "PRIVITY_PROXIES=1"),
        ("TLS", {"redis_url": "redis://redis.example", "redis_plaintext": True}, "rediss://"),
    ],
)
def test_what_is_unsafe_is_a_warning(topic: str, settings: dict[str, object], advice: str) -> None:
    found = found_in(**settings)

    assert [one.topic for one in found.values() if one.level is Level.WARNING] == [topic]
    assert advice in found[topic].advice


def test_too_few_open_files_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_checks, "raise_open_files", lambda: 1_024)
    finding = found_in()["open files"]

    assert (finding.level, finding.text) == (
        Level.WARNING,
        "a limit of 1,024 allows 448 connections, not 8,192",
    )


async def test_no_public_url_is_no_problem() -> None:
    assert (await public_url_finding(None)).level is Level.GOOD


@pytest.mark.parametrize(
    ("status", "body", "level", "text"),
    [
        (200, '{"status":"ok"}', Level.GOOD, "leads to Privity"),
        (200, "<html>Welcome to nginx!</html>", Level.PROBLEM, "something other than Privity"),
        (404, '{"status":"ok"}', Level.PROBLEM, "something other than Privity"),
        (301, "", Level.PROBLEM, "redirects"),
        (401, "", Level.UNKNOWN, "asks for a password"),
        (502, "", Level.WARNING, "does not reach Privity"),
    ],
)
async def test_the_answer_at_the_public_url_is_judged(
    status: int, body: str, level: Level, text: str
) -> None:
    async with answering(status, body) as url:
        finding = await public_url_finding(url)

    assert (finding.topic, finding.level) == ("public URL", level)
    assert text in finding.text
    assert bool(finding.advice) == (level is not Level.GOOD)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("host", "expires", "level", "text"),
    [
        ("localhost", None, Level.GOOD, "leads to Privity"),
        ("other.example", None, Level.PROBLEM, "Hostname mismatch"),
        ("localhost", YESTERDAY, Level.PROBLEM, "certificate has expired"),
    ],
)
async def test_a_certificate_that_no_browser_accepts_is_a_problem(
    host: str, expires: datetime | None, level: Level, text: str
) -> None:
    async with answering(tls=certificate(host, expires)) as url:
        finding = await public_url_finding(url)

    assert finding.level is level
    assert text in finding.text


async def test_a_certificate_of_an_unknown_authority_is_a_warning() -> None:
    async with answering(tls=certificate("localhost")) as url:
        finding = await public_url_finding(url)

    assert finding.level is Level.WARNING
    assert "unable to get local issuer certificate" in finding.text


async def test_a_server_without_tls_at_an_https_url_is_a_problem() -> None:
    async with answering() as url:
        finding = await public_url_finding(url.replace("http:", "https:"))

    assert finding.level is Level.PROBLEM
    assert "does not speak TLS" in finding.text


@pytest.mark.parametrize(
    ("host", "reason"),
    [("localhost", "connection refused"), ("no-such-host.invalid", "host name is not found")],
)
async def test_a_url_that_cannot_be_reached_from_here_is_unknown(host: str, reason: str) -> None:
    finding = await public_url_finding(f"http://{host}:{free_port()}")

    assert finding.level is Level.UNKNOWN
    assert reason in finding.text
    assert finding.advice.startswith("On another machine: curl ")
