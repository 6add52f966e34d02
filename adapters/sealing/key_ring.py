"""The operator's master keys, and the sub-keys derived from each.

    PRIVITY_KEYS = label:base64,label:base64,…      the first seals, all unseal

    sub-key = HKDF-Expand(SHA-256, master key, "privity " ‖ purpose, 32 bytes)        RFC 5869
    key id  = first 4 bytes of SHA-256("privity key id" ‖ master key)

A master key is uniformly random, so HKDF's extract step is not needed. Labels are for people: a
sealed frame names its key by the key id.
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
_ADVICE: Final = "Create one with `privity new-key`."
_KEY_ID_BYTES: Final = 4
_LABEL: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class KeyRingProblem(ValueError):
    """PRIVITY_KEYS is invalid. The message names the rule and the entry, never a key."""


@frozen(kw_only=True)
class MasterKey:
    """The sub-keys of one master key.

    Attributes:
        label: the operator's name for the key.
        key_id: 4 bytes that name the key in the frames that it sealed.
        auth: signs client keys.
        owner: computes owner tags.
        record: the operator's half of every record key.
        limits: computes pseudonyms of addresses and session ids.
    """

    label: str
    key_id: bytes
    auth: bytes = field(repr=False)
    owner: bytes = field(repr=False)
    record: bytes = field(repr=False)
    limits: bytes = field(repr=False)

    @classmethod
    def expanded(cls, label: str, master_key: bytes) -> "MasterKey":
        """The sub-keys derived from ``master_key``, which itself is not kept."""
        digest = hashlib.sha256(b"privity key id" + master_key).digest()
        return cls(
            label=label,
            key_id=digest[:_KEY_ID_BYTES],
            auth=_expand(master_key, b"auth"),
            owner=_expand(master_key, b"owner"),
            record=_expand(master_key, b"record"),
            limits=_expand(master_key, b"limits"),
        )


@frozen
class KeyRing:
    """At least one master key; the first seals, all unseal."""

    keys: tuple[MasterKey, ...]

    @property
    def first(self) -> MasterKey:
        """The key that seals."""
        return self.keys[0]

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """The ring that the value of PRIVITY_KEYS describes.

        Raises:
            KeyRingProblem: there is no key, or a label or a key is invalid or not unique.
        """
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        if not entries:
            raise KeyRingProblem(f"PRIVITY_KEYS contains no key. {_ADVICE}")
        keys = tuple(_parse_entry(position, entry) for position, entry in enumerate(entries, 1))
        _require_distinct("label", [key.label for key in keys], keys)
        _require_distinct("key", [key.key_id for key in keys], keys)
        return cls(keys)

    @classmethod
    def random(cls, random_bytes: Callable[[int], bytes]) -> "KeyRing":
        """A ring with one new random key, for a process that stores everything in memory."""
        return cls((MasterKey.expanded("random", random_bytes(KEY_BYTES)),))

    def __iter__(self) -> Iterator[MasterKey]:
        """The keys, the sealing one first."""
        return iter(self.keys)

    def by_id(self, key_id: bytes) -> MasterKey | None:
        """The key with this id; None if the ring does not contain it."""
        return next((key for key in self.keys if key.key_id == key_id), None)


def new_master_key(random_bytes: Callable[[int], bytes]) -> str:
    """A new master key in base64, to be put after a label in PRIVITY_KEYS."""
    return base64.b64encode(random_bytes(KEY_BYTES)).decode()


def _parse_entry(position: int, entry: str) -> MasterKey:
    # Whoever mixes up label and key has the key where the label is expected. So only the position
    # of an entry is shown.
    label, colon, encoded = entry.partition(":")
    if not colon:
        raise KeyRingProblem(f"PRIVITY_KEYS: entry {position} must be label:base64. {_ADVICE}")
    if not _LABEL.fullmatch(label):
        raise KeyRingProblem(
            f"PRIVITY_KEYS: the label of entry {position} must have 1 to 32 characters of "
            "A-Za-z0-9_.-"
        )
    if len(encoded.split()) > 1:
        raise KeyRingProblem(
            f"PRIVITY_KEYS: the key of entry {position} contains white space or a line break. "
            "Separate entries with commas."
        )
    master_key = _decode_key(position, encoded.strip())
    if len(master_key) != KEY_BYTES:
        raise KeyRingProblem(
            f"PRIVITY_KEYS: the key of entry {position} has {len(master_key)} bytes instead of "
            f"{KEY_BYTES}. {_ADVICE}"
        )
    if len(set(master_key)) == 1:
        raise KeyRingProblem(f"PRIVITY_KEYS: the key of entry {position} is not random. {_ADVICE}")
    return MasterKey.expanded(label, master_key)


def _decode_key(position: int, encoded: str) -> bytes:
    standard = encoded.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        # The cause contains the key.
        raise KeyRingProblem(
            f"PRIVITY_KEYS: the key of entry {position} is not base64. {_ADVICE}"
        ) from None


def _require_distinct(
    what: str, values: list[str] | list[bytes], keys: tuple[MasterKey, ...]
) -> None:
    if len(set(values)) < len(values):
        labels = ", ".join(key.label for key in keys)
        raise KeyRingProblem(f"PRIVITY_KEYS contains a duplicate {what} (labels: {labels}).")


def _expand(master_key: bytes, purpose: bytes) -> bytes:
    info = b"privity " + purpose
    return HKDFExpand(algorithm=SHA256(), length=KEY_BYTES, info=info).derive(master_key)
