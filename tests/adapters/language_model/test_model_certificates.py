"""What the check of the model's server says about certificates."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from ports.findings import Level
from tests.support.model_client import finding_at
from tests.support.model_server import a_reply
from tests.support.odd_model_servers import A_LIST, odd_model_server

API = {"/v1/models": A_LIST, "/v1/chat/completions": a_reply("Hi")}


@contextmanager
def certificates(*names: str, **members: Any) -> Iterator[tuple[ssl.SSLContext, trustme.CA]]:
    """A server's TLS context with a certificate for ``names``, and the authority that issued it."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **members).configure_cert(tls)
    yield tls, authority


async def test_a_private_authority_is_trusted_only_with_its_file(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    with certificates("127.0.0.1") as (tls, authority):
        authority.cert_pem.write_to_path(ca_file)
        async with odd_model_server(API, tls) as server:
            url = f"{server.origin}/v1"
            refused = await finding_at(url)
            accepted = await finding_at(url, ca_file=ca_file)

    assert refused.text == "the certificate of the server is not trusted"
    assert "MODEL_CA_FILE" in refused.advice
    assert accepted.level is Level.GOOD


@pytest.mark.parametrize(
    ("name", "not_after", "text"),
    [
        ("other.test", None, "the certificate of the server is for another host name"),
        (
            "127.0.0.1",
            datetime.now(tz=UTC) - timedelta(days=1),
            "the certificate of the server has expired",
        ),
    ],
)
async def test_each_problem_of_a_certificate_is_named(
    tmp_path: Path, name: str, not_after: datetime | None, text: str
) -> None:
    ca_file = tmp_path / "ca.pem"
    with certificates(name, not_after=not_after) as (tls, authority):
        authority.cert_pem.write_to_path(ca_file)
        async with odd_model_server({}, tls) as server:
            finding = await finding_at(f"{server.origin}/v1", ca_file=ca_file)

    assert (finding.level, finding.text) == (Level.PROBLEM, text)


async def test_tls_at_a_plain_port_and_the_reverse_are_named() -> None:
    async with odd_model_server({}) as plain:
        to_plain = await finding_at(f"https://127.0.0.1:{plain.port}/v1")
    with certificates("127.0.0.1") as (tls, _):
        async with odd_model_server({}, tls) as secured:
            to_tls = await finding_at(f"http://127.0.0.1:{secured.port}/v1")

    assert to_plain.text == "the server does not use TLS"
    assert to_tls.text == "the server closed the connection without an answer"
    assert to_tls.advice == "If the server uses TLS, MODEL_BASE_URL must begin with https://."


async def test_a_file_without_certificates_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("planted")

    finding = await finding_at("https://127.0.0.1:1/v1", ca_file=tmp_path / "ca.pem")

    assert finding.text == "MODEL_CA_FILE: the file contains no certificate in PEM format."
