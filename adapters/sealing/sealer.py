"""Sealed frames: the encrypted form in which conversations and turn logs are stored.

    ┌─────────┬────────┬───────────┬────────────────┬───────────────┬───────┬────────────┬─────┐
    │ version │ key id │ owner tag │ first revision │ last revision │ nonce │ ciphertext │ tag │
    │    1    │    4   │     8     │        8       │       8       │   12  │     …      │  16 │ B
    └─────────┴────────┴───────────┴────────────────┴───────────────┴───────┴────────────┴─────┘
    └──────────────────────────── header, 29 ───────────────────────┘

    record key      = HKDF-SHA256(salt "privity 1", ikm = record sub-key ‖ client secret,
                                  info = kind ‖ session id, 32 bytes)                  RFC 5869
    owner tag       = first 8 bytes of HMAC-SHA256(owner sub-key, client secret ‖ session id)
    associated data = header ‖ session id ‖ tag of the frame before (zeros before the first)
    ciphertext, tag = AES-256-GCM(record key, nonce, record, associated data)          SP 800-38D

Numbers are big-endian, the session id is the 16 bytes of its UUID, the kind has 5 bytes; every
input has a fixed length. So a frame can be unsealed only for its owner, in its conversation, as its
kind, and directly after the frame that preceded it. Log entries are bound to their position in the
log (turn id and entry id) instead of the tag of the frame before.
"""

import hmac
from collections.abc import Callable
from enum import Enum
from struct import Struct
from typing import Final
from uuid import UUID

from attrs import frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from adapters.sealing.key_ring import KEY_BYTES, KeyRing, MasterKey
from domain.model.identifiers import Owner, SessionId

TAG_BYTES: Final = 16
NO_FRAME_BEFORE: Final = bytes(TAG_BYTES)
_VERSION: Final = 1
_SALT: Final = b"privity 1"
_HEADER: Final = Struct(">B4s8sQQ")
_OWNER_TAG_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_MIN_BYTES: Final = _HEADER.size + _NONCE_BYTES + TAG_BYTES


class RecordKind(Enum):
    """What a record belongs to; each kind has keys of its own."""

    STATE = b"state"
    TURN = b"turn\0"


class UnsealError(Exception):
    """A frame is damaged, moved, not sealed, or sealed under a key that is not in the ring."""


class MasterKeyMissing(UnsealError):
    """The frame is sealed under a key that is not in the ring."""


class Ownership(Enum):
    """Whose frame it is according to its owner tag, before it is unsealed."""

    MINE = "mine"
    OTHER = "other"
    KEY_MISSING = "key-missing"
    """Its key is not in the ring."""
    UNKNOWN = "unknown"
    """It is not a sealed frame."""


@frozen
class Header:
    """The unencrypted part of a frame; ``first`` and ``last`` are the revisions it spans."""

    key_id: bytes
    owner_tag: bytes
    first: int
    last: int


class Sealer:
    """Seals with the first key of a ring, unseals with any of them."""

    def __init__(self, *, ring: KeyRing, random_bytes: Callable[[int], bytes]) -> None:
        """``random_bytes(n)`` returns n random bytes, for nonces, which must never repeat."""
        self.ring = ring
        self.random_bytes = random_bytes

    @property
    def key_id(self) -> bytes:
        """The id of the key that seals."""
        return self.ring.first.key_id

    def bound(self, owner: Owner, kind: RecordKind, session_id: SessionId) -> "BoundSealer":
        """The sealer for one owner's records of one kind in one session."""
        return BoundSealer(self, owner, kind, UUID(session_id).bytes)


class BoundSealer:
    """Seals and unseals records of one owner, kind and session; derives keys on first use."""

    def __init__(self, sealer: Sealer, owner: Owner, kind: RecordKind, session: bytes) -> None:
        """``session`` is the session id's 16 bytes."""
        self._sealer = sealer
        self._secret = owner.secret
        self._kind = kind
        self._session = session
        self._ciphers: dict[bytes, AESGCM] = {}
        self._owner_tags: dict[bytes, bytes] = {}

    def seal(self, record: bytes, *, span: tuple[int, int], before: bytes) -> bytes:
        """Seal ``record`` as a frame; ``span`` is its first and last revision.

        ``before`` is the tag of the frame before, ``NO_FRAME_BEFORE``, or a log entry's position.
        """
        key = self._sealer.ring.first
        header = _HEADER.pack(_VERSION, key.key_id, self._owner_tag(key), *span)
        nonce = self._sealer.random_bytes(_NONCE_BYTES)
        associated_data = header + self._session + before
        return header + nonce + self._cipher(key).encrypt(nonce, record, associated_data)

    def unseal(self, frame: bytes, *, before: bytes) -> bytes:
        """Return the record in ``frame``, which was sealed with the same ``before``.

        Raises:
            UnsealError: the frame or ``before`` has changed.
            MasterKeyMissing: its key is not in the ring.
        """
        key = self._sealer.ring.by_id(header_of(frame).key_id)
        if key is None:
            raise MasterKeyMissing
        nonce = frame[_HEADER.size : _HEADER.size + _NONCE_BYTES]
        sealed = frame[_HEADER.size + _NONCE_BYTES :]
        try:
            associated_data = frame[: _HEADER.size] + self._session + before
            return self._cipher(key).decrypt(nonce, sealed, associated_data)
        except InvalidTag as error:
            raise UnsealError("it was changed, moved or sealed for another owner") from error

    def ownership(self, frame: bytes) -> Ownership:
        """Whose frame it is by its owner tag; only unsealing proves it."""
        try:
            header = header_of(frame)
        except UnsealError:
            return Ownership.UNKNOWN
        key = self._sealer.ring.by_id(header.key_id)
        if key is None:
            return Ownership.KEY_MISSING
        is_mine = hmac.compare_digest(header.owner_tag, self._owner_tag(key))
        return Ownership.MINE if is_mine else Ownership.OTHER

    def _owner_tag(self, key: MasterKey) -> bytes:
        tag = self._owner_tags.get(key.key_id)
        if tag is None:
            digest = hmac.digest(key.owner, self._secret + self._session, "sha256")
            tag = self._owner_tags[key.key_id] = digest[:_OWNER_TAG_BYTES]
        return tag

    def _cipher(self, key: MasterKey) -> AESGCM:
        cipher = self._ciphers.get(key.key_id)
        if cipher is None:
            cipher = self._ciphers[key.key_id] = AESGCM(self._record_key(key))
        return cipher

    def _record_key(self, key: MasterKey) -> bytes:
        info = self._kind.value + self._session
        derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=_SALT, info=info)
        return derivation.derive(key.record + self._secret)


def header_of(frame: bytes) -> Header:
    """The header of a frame.

    Raises:
        UnsealError: the frame is too short or has an unknown version.
    """
    if len(frame) < _MIN_BYTES:
        raise UnsealError("it is too short")
    version, key_id, owner_tag, first, last = _HEADER.unpack_from(frame)
    if version != _VERSION:
        raise UnsealError("its version is unknown")
    return Header(key_id, owner_tag, first, last)


def tag_of(frame: bytes) -> bytes:
    """The tag of a frame, to which the next frame is bound."""
    return frame[-TAG_BYTES:]
