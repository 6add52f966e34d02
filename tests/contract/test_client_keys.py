"""What client keys promise: see ``ports.client_keys``."""

import re
from uuid import UUID

import pytest

from ports.client_keys import ClientKeys
from ports.errors import ClientKeyInvalid
from tests.contract.adapters import CLIENT_KEYS
from tests.support.builders import OWNER, STRANGER

NOT_OURS = ["", "ck_", "ck_" + "A" * 64, "ck_" + "é" * 64, "sk-" + "A" * 64, "ck_" + "A" * 6_400]


@pytest.fixture(params=sorted(CLIENT_KEYS))
def keys(request: pytest.FixtureRequest) -> ClientKeys:
    return CLIENT_KEYS[request.param]()


def test_an_issued_key_is_recognised_as_the_newest(keys: ClientKeys) -> None:
    caller = keys.authenticate(keys.issue())

    assert caller.reissued_key is None


def test_every_key_is_another_owners(keys: ClientKeys) -> None:
    issued = [keys.issue() for _ in range(50)]

    assert len({keys.authenticate(key).owner.secret for key in issued}) == 50


def test_the_same_key_is_the_same_owner(keys: ClientKeys) -> None:
    key = keys.issue()

    assert keys.authenticate(key) == keys.authenticate(key)


def test_a_key_is_well_formed(keys: ClientKeys) -> None:
    assert re.fullmatch(r"ck_[A-Za-z0-9_-]{64}", keys.issue())


@pytest.mark.parametrize("presented", NOT_OURS)
def test_what_was_not_issued_here_is_refused(keys: ClientKeys, presented: str) -> None:
    with pytest.raises(ClientKeyInvalid):
        keys.authenticate(presented)


@pytest.mark.parametrize("naming", ["session_for_chat_id", "session_for_request"])
def test_a_name_is_one_session_of_one_owner(keys: ClientKeys, naming: str) -> None:
    session = getattr(keys, naming)

    assert session(OWNER, "a") == session(OWNER, "a")
    assert len({session(OWNER, "a"), session(OWNER, "b"), session(STRANGER, "a")}) == 3
    assert UUID(session(OWNER, "a")).version == 8


def test_names_and_requests_never_meet(keys: ClientKeys) -> None:
    assert keys.session_for_chat_id(OWNER, "a") != keys.session_for_request(OWNER, "a")


def test_a_pseudonym_stands_for_one_name(keys: ClientKeys) -> None:
    assert keys.pseudonym("a") == keys.pseudonym("a") != keys.pseudonym("b")
    assert re.fullmatch(r"[0-9a-f]{16}", keys.pseudonym("a"))
