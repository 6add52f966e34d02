"""HTTP proxies between the service and the model's server, with a real proxy."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from adapters.language_model.model_check import model_findings
from adapters.outgoing_http.server_problem import ServerProblem
from domain.model.piece import TextPiece
from ports.findings import Finding, Level
from ports.language_model import ModelUnavailable
from tests.support.clocks import HastyClock
from tests.support.model_client import KEY, a_model_server, collect_reply, model_at
from tests.support.model_server import a_reply
from tests.support.odd_model_servers import A_LIST, forward_proxy, no_names, odd_model_server

API = {"/v1/models": A_LIST, "/v1/chat/completions": a_reply("Hi")}
LOGIN = "planted-user:planted@password"
QUOTED_LOGIN = "planted-user:planted%40password"
NAMES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *map(str.upper, NAMES), "NETRC", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A certificate for ``model.test`` by the authority in ``ca.pem``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("model.test").configure_cert(context)
    return context


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
async def test_https_goes_through_a_tunnel_and_the_proxy_sees_only_the_address(
    name: str, tmp_path: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with odd_model_server(API, tls) as server, forward_proxy(server.port, LOGIN) as proxy:
        monkeypatch.setenv(name, f"http://{QUOTED_LOGIN}@127.0.0.1:{proxy.port}")
        url, ca_file = "https://model.test/v1", tmp_path / "ca.pem"
        async with model_at(url, ca_file=ca_file) as model:
            reply = await collect_reply(model)

    assert TextPiece("Hi") in reply
    assert proxy.lines == ["CONNECT model.test:443 HTTP/1.1"]
    assert KEY not in proxy.heads[0]
    assert server.keys == [f"Bearer {KEY}"]


async def test_http_goes_through_the_proxy_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with odd_model_server(API) as server, forward_proxy(server.port, LOGIN) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"{QUOTED_LOGIN}@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        async with model_at("http://model.test/v1") as model:
            reply = await collect_reply(model)

    assert TextPiece("Hi") in reply
    assert proxy.lines == ["POST http://model.test/v1/chat/completions HTTP/1.1"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_server_on_this_machine_is_never_reached_through_a_proxy(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with (
        odd_model_server(API) as server,
        model_at(f"http://{host}:{server.port}/v1") as model,
    ):
        assert TextPiece("Hi") in await collect_reply(model)


@pytest.mark.parametrize("names", ["model.test", "other.test, .test", "model.test:8443", "*"])
async def test_no_proxy_names_the_hosts_that_are_reached_directly(
    names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    server = a_model_server("https://model.test:8443/v1")
    assert server.proxy is not None

    monkeypatch.setenv("NO_PROXY", names)

    assert server.proxy is None


async def test_the_passwords_in_netrc_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine model.test login planted password planted\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with odd_model_server(API) as server, forward_proxy(server.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with model_at("http://model.test/v1", key=None) as model:
            await collect_reply(model)

    assert server.keys == [None]


async def finding_through(proxy: str, monkeypatch: pytest.MonkeyPatch) -> Finding:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    async with asyncio.timeout(20):
        [finding] = await model_findings(a_model_server("https://model.test/v1"), HastyClock(), 64)
    assert finding.level is Level.PROBLEM
    return finding


@pytest.mark.parametrize("host", ["127.0.0.1:1", "proxy.test:3128"])
async def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_names():
        finding = await finding_through(f"http://{QUOTED_LOGIN}@{host}", monkeypatch)

    assert finding.text == "the HTTP proxy in HTTPS_PROXY cannot be reached"
    assert "add model.test to NO_PROXY" in finding.advice
    assert "planted" not in str(finding)


async def test_a_proxy_that_requires_a_password_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with forward_proxy(1, LOGIN) as proxy:
        finding = await finding_through(f"http://127.0.0.1:{proxy.port}", monkeypatch)

    assert finding.text == "the HTTP proxy in HTTPS_PROXY refuses the connection (status 407)"
    assert finding.advice.startswith("Put the user and password into HTTPS_PROXY")


async def test_the_failure_of_a_reply_names_the_proxy_as_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with forward_proxy(1, LOGIN) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with model_at("https://model.test/v1") as model:
            with pytest.raises(ModelUnavailable) as caught:
                await collect_reply(model)

    details = caught.value.details
    assert (details.reason, details.status) == ("proxy-refused", 407)


@pytest.mark.parametrize(
    "url",
    [
        "socks5://planted:planted@127.0.0.1:1",
        "http://",
        "http://planted:planted@127.0.0.1:99999",
        "http://planted..test:3128",
    ],
)
def test_a_url_that_is_not_of_an_http_proxy_is_refused_without_showing_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)

    with pytest.raises(ServerProblem) as problem:
        _ = a_model_server("https://model.test/v1").proxy

    assert str(problem.value).startswith("HTTPS_PROXY: expected the URL of an HTTP proxy")
    assert "planted" not in str(problem.value)
