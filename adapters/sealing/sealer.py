"""Sealed frames: what a conversation or a turn's log is stored as.

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

Numbers are big-endian, the session id is its UUID's 16 bytes, the kind 5 bytes; every input has a
fixed length. Frames of two owners, conversations, kinds, positions or histories never join. Log
entries have their place in the log (turn id and entry id) where frames have the tag before.
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
_SMALLEST: Final = _HEADER.size + _NONCE_BYTES + TAG_BYTES


class RecordKind(Enum):
    """What a sealed record is; keys of different kinds are unrelated."""

    STATE = b"state"
    TURN = b"turn\0"


class UnsealError(Exception):
    """A frame does not open: damaged, moved, plain, or under a key that is not in the ring."""


class Ownership(Enum):
    """Whose a frame says it is, before it is opened."""

    MINE = "ours"
    OTHER = "another's"
    UNKNOWN = "unknown"
    """No frame of ours, or its key is not in the ring."""


@frozen
class Header:
    """The readable part of a frame; ``first`` and ``last`` are the revisions it holds."""

    key_id: bytes
    owner_tag: bytes
    first: int
    last: int


class Sealer:
    """Seals under the first key of a ring, opens under all of them."""

    def __init__(self, *, ring: KeyRing, random_bytes: Callable[[int], bytes]) -> None:
        """``random_bytes`` gives that many bytes which never come again."""
        self.ring = ring
        self.random_bytes = random_bytes

    @property
    def key_id(self) -> bytes:
        """The id of the key that seals."""
        return self.ring.first.key_id

    def bound(self, owner: Owner, kind: RecordKind, session_id: SessionId) -> "BoundSealer":
        """The sealer of one owner's records under one session id."""
        return BoundSealer(self, owner, kind, UUID(session_id).bytes)


class BoundSealer:
    """Seals and opens records of one owner, one kind, one session; keys are derived when needed."""

    def __init__(self, sealer: Sealer, owner: Owner, kind: RecordKind, place: bytes) -> None:
        """``place`` is the session id's 16 bytes."""
        self._sealer = sealer
        self._secret = owner.secret
        self._kind = kind
        self._place = place
        self._ciphers: dict[bytes, AESGCM] = {}
        self._tags: dict[bytes, bytes] = {}

    def seal(self, record: bytes, *, span: tuple[int, int], before: bytes) -> bytes:
        """A frame with ``record``; ``span`` are its revisions, ``before`` is what it follows."""
        key = self._sealer.ring.first
        header = _HEADER.pack(_VERSION, key.key_id, self._tag(key), *span)
        nonce = self._sealer.random_bytes(_NONCE_BYTES)
        bound_to = header + self._place + before
        return header + nonce + self._cipher(key).encrypt(nonce, record, bound_to)

    def open(self, frame: bytes, *, before: bytes) -> bytes:
        """The record that was sealed.

        Raises:
            UnsealError: anything about it is not as it was sealed.
        """
        key = self._sealer.ring.by_id(header_of(frame).key_id)
        if key is None:
            raise UnsealError("the key is not in the ring")
        nonce = frame[_HEADER.size : _HEADER.size + _NONCE_BYTES]
        sealed = frame[_HEADER.size + _NONCE_BYTES :]
        try:
            bound_to = frame[: _HEADER.size] + self._place + before
            return self._cipher(key).decrypt(nonce, sealed, bound_to)
        except InvalidTag as error:
            raise UnsealError("it was changed, moved, or sealed for somebody else") from error

    def belonging(self, frame: bytes) -> Ownership:
        """Whose the frame says it is; only opening it proves anything."""
        try:
            header = header_of(frame)
        except UnsealError:
            return Ownership.UNKNOWN
        key = self._sealer.ring.by_id(header.key_id)
        if key is None:
            return Ownership.UNKNOWN
        is_ours = hmac.compare_digest(header.owner_tag, self._tag(key))
        return Ownership.MINE if is_ours else Ownership.OTHER

    def _tag(self, key: MasterKey) -> bytes:
        tag = self._tags.get(key.key_id)
        if tag is None:
            whole = hmac.digest(key.owner, self._secret + self._place, "sha256")
            tag = self._tags[key.key_id] = whole[:_OWNER_TAG_BYTES]
        return tag

    def _cipher(self, key: MasterKey) -> AESGCM:
        cipher = self._ciphers.get(key.key_id)
        if cipher is None:
            cipher = self._ciphers[key.key_id] = AESGCM(self._record_key(key))
        return cipher

    def _record_key(self, key: MasterKey) -> bytes:
        info = self._kind.value + self._place
        derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=_SALT, info=info)
        return derivation.derive(key.record + self._secret)


def header_of(frame: bytes) -> Header:
    """The header of a frame.

    Raises:
        UnsealError: it is none, or one of an unknown version.
    """
    if len(frame) < _SMALLEST:
        raise UnsealError("it is too short")
    version, key_id, owner_tag, first, last = _HEADER.unpack_from(frame)
    if version != _VERSION:
        raise UnsealError("its version is not known here")
    return Header(key_id, owner_tag, first, last)


def tag_of(frame: bytes) -> bytes:
    """What the next frame has to follow."""
    return frame[-TAG_BYTES:]
