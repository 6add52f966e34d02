"""The operator's master keys, and the sub-keys each of them is expanded into.

    PRIVITY_KEYS = label:base64,label:base64,…      the first seals, all open

    sub-key = HKDF-Expand(SHA-256, master key, "privity " ‖ purpose, 32 bytes)        RFC 5869
    key id  = first 4 bytes of SHA-256("privity key id" ‖ master key)

A master key is uniform random bytes, so HKDF's extract step has nothing to do. Labels are for
people: what is sealed names its key by the key id.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Final

from attrs import field, frozen
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_LABEL: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class KeyRingProblem(ValueError):
    """PRIVITY_KEYS cannot be used; says which label breaks which rule, and shows no key."""


@frozen(kw_only=True)
class MasterKey:
    """One key of the ring, expanded.

    Attributes:
        label: for people only.
        key_id: 4 bytes; names the key in what it sealed.
        auth: makes and checks client keys.
        owner: marks whose a record is.
        record: the operator's half of every record's key.
        limits: stands in for addresses and session ids.
    """

    label: str
    key_id: bytes
    auth: bytes = field(repr=False)
    owner: bytes = field(repr=False)
    record: bytes = field(repr=False)
    limits: bytes = field(repr=False)

    @classmethod
    def expanded(cls, label: str, master_key: bytes) -> "MasterKey":
        """The sub-keys of ``master_key``, which itself is not kept."""
        identified = hashlib.sha256(b"privity key id" + master_key).digest()
        return cls(
            label=label,
            key_id=identified[:_KEY_ID_BYTES],
            auth=_expand(master_key, b"auth"),
            owner=_expand(master_key, b"owner"),
            record=_expand(master_key, b"record"),
            limits=_expand(master_key, b"limits"),
        )


@frozen
class KeyRing:
    """At least one master key; the first seals, all open."""

    keys: tuple[MasterKey, ...]

    @property
    def first(self) -> MasterKey:
        """The key that seals."""
        return self.keys[0]

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """The ring that PRIVITY_KEYS describes.

        Raises:
            KeyRingProblem: it is empty, or a label or a key breaks a rule.
        """
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        if not entries:
            raise KeyRingProblem("PRIVITY_KEYS holds no key.")
        keys = tuple(_parsed(entry) for entry in entries)
        _refuse_twins("label", [key.label for key in keys], keys)
        _refuse_twins("key", [key.key_id for key in keys], keys)
        return cls(keys)

    @classmethod
    def random(cls, random_bytes: Callable[[int], bytes]) -> "KeyRing":
        """A ring that nobody else has, for a process that keeps nothing."""
        return cls((MasterKey.expanded("random", random_bytes(KEY_BYTES)),))

    def __iter__(self) -> Iterator[MasterKey]:
        """The keys, the sealing one first."""
        return iter(self.keys)

    def by_id(self, key_id: bytes) -> MasterKey | None:
        """The key with this id; absent when it is not, or no longer, in the ring."""
        for key in self.keys:
            if key.key_id == key_id:
                return key
        return None


def new_master_key(random_bytes: Callable[[int], bytes]) -> str:
    """A new master key, as it is written in PRIVITY_KEYS behind its label."""
    return base64.b64encode(random_bytes(KEY_BYTES)).decode()


def _parsed(entry: str) -> MasterKey:
    label, colon, encoded = entry.partition(":")
    if not colon or not _LABEL.fullmatch(label):
        # The entry may be a key without a label, so nothing of it is shown.
        why = "PRIVITY_KEYS: each entry is label:base64, the label 1 to 32 of A-Za-z0-9_.-"
        raise KeyRingProblem(why)
    master_key = _decoded(label, encoded.strip())
    if len(master_key) != KEY_BYTES:
        raise KeyRingProblem(f"PRIVITY_KEYS: the key {label!r} must have {KEY_BYTES} bytes.")
    if len(set(master_key)) == 1:
        raise KeyRingProblem(f"PRIVITY_KEYS: the key {label!r} is no random key.")
    return MasterKey.expanded(label, master_key)


def _decoded(label: str, encoded: str) -> bytes:
    standard = encoded.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        # The cause would show the key.
        raise KeyRingProblem(f"PRIVITY_KEYS: the key {label!r} is not base64.") from None


def _refuse_twins(what: str, marks: list[str] | list[bytes], keys: tuple[MasterKey, ...]) -> None:
    if len(set(marks)) < len(marks):
        labels = ", ".join(key.label for key in keys)
        raise KeyRingProblem(f"PRIVITY_KEYS has a {what} twice (labels: {labels}).")


def _expand(master_key: bytes, purpose: bytes) -> bytes:
    info = b"privity " + purpose
    return HKDFExpand(algorithm=SHA256(), length=KEY_BYTES, info=info).derive(master_key)
