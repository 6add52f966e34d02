"""Sealed frames, checked against vectors and a second implementation of the documented format."""

import hashlib
import hmac
import struct
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import (
    NO_FRAME_BEFORE,
    BoundSealer,
    Ownership,
    RecordKind,
    Sealer,
    UnsealError,
    header_of,
    tag_of,
)
from domain.model.identifiers import Owner, SessionId
from tests.support.builders import ID, OTHER_ID, OWNER, STRANGER

MASTER_KEY = bytes(range(32))
RING = "first:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NEWER = "second:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
NONCE = bytes(range(100, 112))
RECORD = b"what somebody said"
VECTOR = bytes.fromhex(
    "01fc4ec28ea301f0da93267c19000000000000000300000000000000036465666768696a6b6c6d6e"
    "6fc89ffa0efba154544fc0bf6eb1c6472478c38e9a9ab8178c8e0808a24c6b2101deb6"
)


def a_sealer(ring: str = RING) -> Sealer:
    return Sealer(ring=KeyRing.parse(ring), random_bytes=lambda count: NONCE[:count])


def bound(
    ring: str = RING,
    owner: Owner = OWNER,
    kind: RecordKind = RecordKind.STATE,
    session: SessionId = ID,
) -> BoundSealer:
    return a_sealer(ring).bound(owner, kind, session)


def a_frame(before: bytes = NO_FRAME_BEFORE) -> bytes:
    return bound().seal(RECORD, span=(3, 3), before=before)


def expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand of RFC 5869 for one block."""
    return hmac.digest(key, info + b"\x01", "sha256")


def unseal_independently(frame: bytes, before: bytes) -> bytes:
    """Unseal a frame of ``OWNER`` and ``ID`` without the sealer."""
    session = UUID(ID).bytes
    version, key_id, owner_tag, first, last = struct.unpack(">B4s8sQQ", frame[:29])
    assert (version, first, last) == (1, 3, 3)
    assert key_id == hashlib.sha256(b"privity key id" + MASTER_KEY).digest()[:4]
    tag_key = expand(MASTER_KEY, b"privity owner")
    assert owner_tag == hmac.digest(tag_key, OWNER.secret + session, "sha256")[:8]
    extracted = hmac.digest(
        b"privity 1", expand(MASTER_KEY, b"privity record") + OWNER.secret, "sha256"
    )
    record_key = expand(extracted, b"state" + session)
    decryptor = Cipher(AES(record_key), GCM(frame[29:41], frame[-16:])).decryptor()
    decryptor.authenticate_additional_data(frame[:29] + session + before)
    return decryptor.update(frame[41:-16]) + decryptor.finalize()


@pytest.mark.parametrize("before", [NO_FRAME_BEFORE, bytes(range(16))])
def test_a_second_implementation_unseals_a_frame(before: bytes) -> None:
    assert unseal_independently(a_frame(before), before) == RECORD


def test_the_format_of_a_frame_never_changes() -> None:
    assert a_frame().hex() == VECTOR.hex()


def test_a_frame_is_unsealed_for_its_owner_in_its_place() -> None:
    assert bound().unseal(a_frame(), before=NO_FRAME_BEFORE) == RECORD


@pytest.mark.parametrize(
    "other",
    [
        bound(owner=STRANGER),
        bound(session=OTHER_ID),
        bound(kind=RecordKind.TURN),
        bound(ring=NEWER),
        bound(ring=NEWER.replace("second", "first")),
    ],
)
def test_a_frame_is_not_unsealed_for_another_owner_session_kind_or_key(other: BoundSealer) -> None:
    with pytest.raises(UnsealError):
        other.unseal(a_frame(), before=NO_FRAME_BEFORE)


def test_a_frame_is_unsealed_only_after_the_frame_it_was_sealed_after() -> None:
    with pytest.raises(UnsealError):
        bound().unseal(a_frame(), before=bytes(range(16)))


@pytest.mark.parametrize("position", range(len(a_frame())))
def test_a_frame_with_any_byte_changed_is_not_unsealed(position: int) -> None:
    frame = bytearray(a_frame())
    frame[position] ^= 1

    with pytest.raises(UnsealError):
        bound().unseal(bytes(frame), before=NO_FRAME_BEFORE)


@pytest.mark.parametrize("length", range(len(a_frame())))
def test_a_truncated_frame_is_not_unsealed(length: int) -> None:
    with pytest.raises(UnsealError):
        bound().unseal(a_frame()[:length], before=NO_FRAME_BEFORE)


def test_plaintext_is_not_unsealed() -> None:
    with pytest.raises(UnsealError):
        bound().unseal(RECORD * 9, before=NO_FRAME_BEFORE)


def test_the_ownership_of_a_frame_is_read_without_unsealing_it() -> None:
    frame = a_frame()

    assert bound().ownership(frame) is Ownership.MINE
    assert bound(owner=STRANGER).ownership(frame) is Ownership.OTHER
    assert bound(session=OTHER_ID).ownership(frame) is Ownership.OTHER
    assert bound(ring=NEWER).ownership(frame) is Ownership.KEY_MISSING
    assert bound().ownership(RECORD) is Ownership.UNKNOWN


def test_an_older_key_still_unseals_and_the_first_one_seals() -> None:
    rotated = bound(ring=f"{NEWER},{RING}")

    assert rotated.unseal(a_frame(), before=NO_FRAME_BEFORE) == RECORD
    resealed = rotated.seal(RECORD, span=(3, 3), before=NO_FRAME_BEFORE)
    assert header_of(resealed).key_id == KeyRing.parse(NEWER).first.key_id


def test_a_frame_does_not_depend_on_the_label_of_its_key() -> None:
    renamed = bound(ring=RING.replace("first", "renamed"))

    assert renamed.unseal(a_frame(), before=NO_FRAME_BEFORE) == RECORD


def test_the_header_has_the_revisions_and_the_tag_is_last() -> None:
    frame = bound().seal(RECORD, span=(9, 16), before=NO_FRAME_BEFORE)

    assert (header_of(frame).first, header_of(frame).last) == (9, 16)
    assert tag_of(frame) == frame[-16:]


def test_no_repr_shows_a_secret() -> None:
    shown = repr(a_sealer().ring) + repr(OWNER) + repr(header_of(a_frame()))

    assert OWNER.secret.hex() not in shown
    assert repr(OWNER.secret) not in shown
    assert repr(MASTER_KEY)[2:-1] not in shown
