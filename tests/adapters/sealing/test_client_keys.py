"""Client keys and the ids derived from them, checked against a second implementation."""

import base64
import hashlib
import hmac
import os
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from domain.model.identifiers import Owner, session_id
from ports.errors import ClientKeyInvalid
from tests.support.builders import OWNER, STRANGER

MASTER = bytes(range(32))
OTHER = bytes(range(100, 132))
KEY = "ck_b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb2_dUz45ZmLg3M7UHMxp_Z35"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def keys_under(*master_keys: bytes) -> SealedClientKeys:
    entries = [f"k{n}:{base64.b64encode(key).decode()}" for n, key in enumerate(master_keys)]
    return SealedClientKeys(ring=KeyRing.parse(",".join(entries)), random_bytes=os.urandom)


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def expected_key(master_key: bytes, secret: bytes) -> str:
    mac = hmac_sha256(hmac_sha256(master_key, b"privity auth\x01"), b"client key" + secret)[:16]
    return "ck_" + base64.urlsafe_b64encode(secret + mac).decode()


def expected_session(secret: bytes, kind: bytes, name: str) -> str:
    """RFC 9562, section 5.8: version in the high half of octet 6, variant atop octet 8."""
    octets = bytearray(hmac_sha256(secret, kind + b"\x00" + name.encode())[:16])
    octets[6] = 0x80 | octets[6] & 0x0F
    octets[8] = 0x80 | octets[8] & 0x3F
    return str(UUID(bytes=bytes(octets)))


def test_the_format_of_a_client_key_never_changes() -> None:
    keys = SealedClientKeys(
        ring=KeyRing.parse(f"a:{base64.b64encode(MASTER).decode()}"),
        random_bytes=lambda count: b"o" * count,
    )

    assert keys.issue() == KEY
    assert keys.authenticate(KEY).owner == OWNER


@given(st.binary(min_size=32, max_size=32))
def test_a_second_implementation_makes_the_same_keys(secret: bytes) -> None:
    caller = keys_under(MASTER).authenticate(expected_key(MASTER, secret))

    assert caller.owner == Owner(secret=secret)


def test_every_issued_key_belongs_to_a_new_owner() -> None:
    keys = keys_under(MASTER)

    issued = [keys.issue() for _ in range(20)]
    assert len({keys.authenticate(key).owner for key in issued}) == 20
    assert {len(key) for key in issued} == {67}


def test_a_key_under_an_older_master_key_is_reissued_for_the_same_owner() -> None:
    issued = keys_under(MASTER).issue()
    rotating = keys_under(OTHER, MASTER)

    caller = rotating.authenticate(issued)

    assert caller.reissued_key is not None
    assert keys_under(OTHER).authenticate(caller.reissued_key).owner == caller.owner
    assert rotating.authenticate(caller.reissued_key).reissued_key is None
    assert caller.owner == keys_under(MASTER).authenticate(issued).owner
    assert caller.reissued_key not in repr(caller)


def test_a_reissued_key_stays_one_of_the_operator() -> None:
    rotating = keys_under(OTHER, MASTER)
    for from_operator in (True, False):
        issued = keys_under(MASTER).issue(from_operator=from_operator)
        reissued = rotating.authenticate(issued).reissued_key

        assert rotating.authenticate(issued).is_from_operator is from_operator
        assert reissued is not None
        assert keys_under(OTHER).authenticate(reissued).is_from_operator is from_operator


def test_a_key_under_the_first_master_key_is_not_reissued() -> None:
    assert keys_under(MASTER, OTHER).authenticate(KEY).reissued_key is None


def test_a_key_under_a_removed_master_key_is_refused() -> None:
    with pytest.raises(ClientKeyInvalid):
        keys_under(OTHER).authenticate(KEY)


@pytest.mark.parametrize("position", range(len(KEY)))
def test_a_key_with_any_character_changed_is_refused(position: int) -> None:
    keys = keys_under(MASTER)
    for character in ALPHABET + "+/=. \n":
        if character != KEY[position]:
            with pytest.raises(ClientKeyInvalid):
                keys.authenticate(KEY[:position] + character + KEY[position + 1 :])


@pytest.mark.parametrize(
    "variant",
    [
        "",
        "ck_",
        KEY[3:],
        KEY[:-1],
        KEY + "=",
        KEY + "A",
        f" {KEY}",
        f"{KEY}\n",
        KEY.upper(),
        KEY.replace("_dUz", "/dUz"),
        "ck-" + KEY[3:],
        "ck_" + "ä" * 64,
        "ck_" + "\ud800" * 64,
    ],
)
def test_a_key_has_exactly_one_encoding(variant: str) -> None:
    with pytest.raises(ClientKeyInvalid) as refused:
        keys_under(MASTER).authenticate(variant)

    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_the_format_of_derived_session_ids_never_changes() -> None:
    keys = keys_under(MASTER)

    assert keys.session_for_chat_id(OWNER, "my chat") == "df42d4a1-3326-8732-9d7c-64f845c9795b"
    assert keys.session_for_request(OWNER, "once") == "30582142-1407-8212-9040-1495781f23b5"


@given(st.binary(min_size=32, max_size=32), st.text(alphabet=st.characters(codec="utf-8")))
def test_derived_session_ids_have_version_8_and_depend_only_on_the_owner(
    secret: bytes, name: str
) -> None:
    owner = Owner(secret=secret)

    named = keys_under(MASTER).session_for_chat_id(owner, name)
    requested = keys_under(OTHER).session_for_request(owner, name)

    assert named == session_id(expected_session(secret, b"chat id", name))
    assert requested == session_id(expected_session(secret, b"idempotency key", name))
    assert UUID(named).version == UUID(requested).version == 8


def test_owners_and_purposes_do_not_share_session_ids() -> None:
    keys = keys_under(MASTER)

    assert keys.session_for_chat_id(OWNER, "a") != keys.session_for_chat_id(STRANGER, "a")
    assert keys.session_for_chat_id(OWNER, "a") != keys.session_for_request(OWNER, "a")
    assert keys.session_for_chat_id(OWNER, "\ud800") != keys.session_for_chat_id(OWNER, "\ud801")


def test_pseudonyms_depend_on_the_first_master_key() -> None:
    assert keys_under(MASTER, OTHER).pseudonym("192.0.2.1") == "bb59c990ae1ccec5"
    assert keys_under(OTHER, MASTER).pseudonym("192.0.2.1") != "bb59c990ae1ccec5"
