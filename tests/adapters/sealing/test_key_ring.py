"""The key ring: the sub-keys of a master key, and errors that show no key."""

import base64
import hashlib
import hmac
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sealing.key_ring import KeyRing, KeyRingProblem, new_master_key

MASTER = bytes(range(32))
OTHER = bytes(range(100, 132))
SUB_KEYS = {
    "auth": "5bae7a939bd4ef4fc26e0c619a85c339d64a6112b325e0097bfdedce5c308fe9",
    "owner": "b1ebc2adb39a07fc0da19606ed440a67db846cdbe8cae33a36b65e6e3e0adfb4",
    "record": "b53cef3912f76d6112ce76864a9a7e77f0a325d414ebcb8e0fd3b06eb25c6c9b",
    "limits": "677810e3f7abd0974492165a664742ddd6ef5573ee1f37a4d6f5aa99bb65dc95",
}


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def expected_sub_key(master_key: bytes, purpose: str) -> bytes:
    """HKDF-Expand of RFC 5869, section 2.3, for one block."""
    return hmac.new(master_key, f"privity {purpose}".encode() + b"\x01", hashlib.sha256).digest()


@given(st.binary(min_size=32, max_size=32).filter(lambda key: len(set(key)) > 1))
def test_a_second_implementation_derives_the_same_sub_keys(master_key: bytes) -> None:
    key = KeyRing.parse(f"a:{encoded(master_key)}").first

    sub_keys = {purpose: getattr(key, purpose) for purpose in SUB_KEYS}
    assert sub_keys == {purpose: expected_sub_key(master_key, purpose) for purpose in SUB_KEYS}
    assert key.key_id == hashlib.sha256(b"privity key id" + master_key).digest()[:4]


@pytest.mark.parametrize(("purpose", "expected"), SUB_KEYS.items())
def test_the_derivation_of_sub_keys_never_changes(purpose: str, expected: str) -> None:
    key = KeyRing.parse(f"a:{encoded(MASTER)}").first

    assert getattr(key, purpose).hex() == expected


def test_the_derivation_of_a_key_id_never_changes() -> None:
    assert KeyRing.parse(f"a:{encoded(MASTER)}").first.key_id.hex() == "fc4ec28e"


def test_all_keys_are_found_by_id_and_the_first_seals() -> None:
    ring = KeyRing.parse(f" a:{encoded(MASTER)} , b.2:{encoded(OTHER)}, ")

    assert [key.label for key in ring] == ["a", "b.2"]
    assert ring.first.label == "a"
    assert [ring.by_id(key.key_id) for key in ring] == list(ring)
    assert ring.by_id(b"none") is None


@pytest.mark.parametrize(
    "text",
    [
        encoded(b"\xfb" * 31 + b"\xff"),
        encoded(b"\xfb" * 31 + b"\xff").rstrip("="),
        base64.urlsafe_b64encode(b"\xfb" * 31 + b"\xff").decode(),
    ],
)
def test_a_key_may_be_in_any_variant_of_base64(text: str) -> None:
    ring = KeyRing.parse(f"a:{text}")

    assert ring.first.auth == expected_sub_key(b"\xfb" * 31 + b"\xff", "auth")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "contains no key"),
        (" , ", "contains no key"),
        (encoded(MASTER), "entry 1 must be label:base64"),
        (f"a:{encoded(OTHER)}, {encoded(MASTER)}", "entry 2 must be label:base64"),
        (f":{encoded(MASTER)}", "the label of entry 1 must have 1 to 32 characters"),
        (f"{encoded(MASTER)}:spring", "the label of entry 1 must have 1 to 32 characters"),
        (f"two words:{encoded(MASTER)}", "the label of entry 1 must have 1 to 32 characters"),
        (f"{'x' * 33}:{encoded(MASTER)}", "the label of entry 1 must have 1 to 32 characters"),
        (f"spring:{encoded(MASTER[:31])}", "the key of entry 1 has 31 bytes instead of 32."),
        (f"spring:{encoded(MASTER + b'x')}", "the key of entry 1 has 33 bytes instead of 32."),
        (f"{encoded(MASTER)[:32]}:spring", "the key of entry 1 has 4 bytes instead of 32."),
        ("spring:", "the key of entry 1 has 0 bytes instead of 32."),
        (f"spring:{encoded(bytes(32))}", "the key of entry 1 is not random."),
        (f"spring:{encoded(b'a' * 32)}", "the key of entry 1 is not random."),
        (f"spring:{encoded(MASTER)[:-3]}*A=", "the key of entry 1 is not base64."),
        ("first:base64-of-32-random-bytes", "the key of entry 1 is not base64."),
        (
            f"spring:{encoded(MASTER)}\nautumn:{encoded(MASTER)}",
            "the key of entry 1 contains white space or a line break.",
        ),
        ("spring:ä", "the key of entry 1 is not base64."),
        (f"a:{encoded(MASTER)},b:{encoded(MASTER)}", "contains a duplicate key (labels: a, b)"),
        (f"a:{encoded(MASTER)},a:{encoded(OTHER)}", "contains a duplicate label (labels: a, a)"),
    ],
)
def test_an_invalid_ring_is_refused_without_showing_a_key(text: str, message: str) -> None:
    with pytest.raises(KeyRingProblem) as refused:
        KeyRing.parse(text)

    shown = f"{refused.value!r} {refused.value.__cause__!r}"
    assert message in shown
    assert encoded(MASTER)[:8] not in shown
    assert encoded(OTHER)[:8] not in shown


def test_the_repr_of_a_key_shows_no_secret() -> None:
    key = KeyRing.parse(f"a:{encoded(MASTER)}").first

    shown = repr(key)
    assert "label='a'" in shown
    for purpose in SUB_KEYS:
        assert repr(getattr(key, purpose)) not in shown
        assert purpose not in shown


def test_a_new_master_key_can_be_parsed_and_is_unique() -> None:
    one, two = new_master_key(os.urandom), new_master_key(os.urandom)

    ring = KeyRing.parse(f"a:{one},b:{two}")
    assert ring.keys[0].auth != ring.keys[1].auth


def test_every_random_ring_is_unique() -> None:
    assert KeyRing.random(os.urandom).first.auth != KeyRing.random(os.urandom).first.auth
