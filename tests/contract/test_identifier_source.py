"""The promises of every source of identifiers: see ``ports.identifier_source``."""

from uuid import UUID

import pytest

from domain.model.identifiers import message_id, session_id
from ports.identifier_source import IdentifierSource
from tests.contract.adapters import IDENTIFIERS


@pytest.fixture(params=sorted(IDENTIFIERS))
def source(request: pytest.FixtureRequest) -> IdentifierSource:
    return IDENTIFIERS[request.param]()


@pytest.mark.parametrize("kind", ["session_id", "turn_id", "message_id"])
def test_no_id_is_generated_twice(source: IdentifierSource, kind: str) -> None:
    ids = {getattr(source, kind)() for _ in range(1_000)}

    assert len(ids) == 1_000


def test_every_id_has_its_format(source: IdentifierSource) -> None:
    session, turn, message = source.session_id(), source.turn_id(), source.message_id()

    assert session_id(session) == session
    assert UUID(session).version == 4
    assert len(bytes.fromhex(turn)) == 16
    assert message_id(message) == message
