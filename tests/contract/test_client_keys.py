"""The promises of client keys: see ``ports.client_keys``."""

import re
from uuid import UUID

import pytest

from domain.model.identifiers import ConversationRef
from ports.client_keys import ClientKeys
from ports.errors import ClientKeyInvalid
from tests.contract.adapters import CLIENT_KEYS
from tests.support.builders import ID, OTHER_ID, OWNER, REF, STRANGER

NOT_OURS = ["", "ck_", "ck_" + "A" * 64, "ck_" + "é" * 64, "sk-" + "A" * 64, "ck_" + "A" * 6_400]


@pytest.fixture(params=sorted(CLIENT_KEYS))
def keys(request: pytest.FixtureRequest) -> ClientKeys:
    return CLIENT_KEYS[request.param]()


def test_an_issued_key_is_not_reissued(keys: ClientKeys) -> None:
    caller = keys.authenticate(keys.issue())

    assert caller.reissued_key is None


def test_every_key_belongs_to_another_owner(keys: ClientKeys) -> None:
    issued = [keys.issue() for _ in range(50)]

    assert len({keys.authenticate(key).owner.secret for key in issued}) == 50


def test_a_key_always_belongs_to_the_same_owner(keys: ClientKeys) -> None:
    key = keys.issue()

    assert keys.authenticate(key) == keys.authenticate(key)


def test_keys_of_the_operator_are_told_from_those_that_anybody_can_get(keys: ClientKeys) -> None:
    assert keys.authenticate(keys.issue(from_operator=True)).is_from_operator
    assert not keys.authenticate(keys.issue()).is_from_operator


def test_a_key_is_well_formed(keys: ClientKeys) -> None:
    assert re.fullmatch(r"ck_[A-Za-z0-9_-]{64}", keys.issue())


@pytest.mark.parametrize("presented", NOT_OURS)
def test_a_key_that_was_not_issued_is_refused(keys: ClientKeys, presented: str) -> None:
    with pytest.raises(ClientKeyInvalid):
        keys.authenticate(presented)


@pytest.mark.parametrize(
    "method", ["session_for_chat_id", "session_for_request", "session_for_chain"]
)
def test_a_name_maps_to_one_session_for_each_owner(keys: ClientKeys, method: str) -> None:
    session = getattr(keys, method)

    assert session(OWNER, "a") == session(OWNER, "a")
    assert len({session(OWNER, "a"), session(OWNER, "b"), session(STRANGER, "a")}) == 3
    assert UUID(session(OWNER, "a")).version == 8


def test_chat_ids_keys_and_chains_map_to_different_sessions(keys: ClientKeys) -> None:
    derive = (keys.session_for_chat_id, keys.session_for_request, keys.session_for_chain)
    assert len({session_id_of(OWNER, "a") for session_id_of in derive}) == len(derive)


def test_every_name_has_its_own_pseudonym(keys: ClientKeys) -> None:
    assert keys.pseudonym("a") == keys.pseudonym("a") != keys.pseudonym("b")
    assert re.fullmatch(r"[0-9a-f]{16}", keys.pseudonym("a"))


def test_every_conversation_of_every_owner_has_its_own_pseudonym(keys: ClientKeys) -> None:
    refs = [ConversationRef(owner, id_) for owner in (OWNER, STRANGER) for id_ in (ID, OTHER_ID)]
    pseudonyms = [keys.conversation_pseudonym(ref) for ref in refs]

    assert len(set(pseudonyms)) == len(refs)
    assert pseudonyms == [keys.conversation_pseudonym(ref) for ref in refs]
    assert all(re.fullmatch(r"[0-9a-f]{32}", pseudonym) for pseudonym in pseudonyms)


@pytest.mark.parametrize("name", sorted(CLIENT_KEYS))
def test_the_pseudonym_of_a_conversation_does_not_depend_on_the_master_keys(name: str) -> None:
    one, other = CLIENT_KEYS[name](), CLIENT_KEYS[name]()

    assert one.pseudonym("a") != other.pseudonym("a")
    assert one.conversation_pseudonym(REF) == other.conversation_pseudonym(REF)
