"""Client keys: issued and authenticated here, stored nowhere.

    client key = "ck_" ‖ base64url( secret, 32 random bytes ‖ MAC, 16 bytes )
    MAC        = first 16 bytes of HMAC-SHA256(auth sub-key, label ‖ secret)
    label      = "operator's client key" if the operator issued it, else "client key"

48 bytes are 64 characters without padding, so a key has exactly one encoding.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from itertools import product
from typing import Final
from uuid import UUID

from adapters.sealing.key_ring import KeyRing, MasterKey
from domain.model.identifiers import OWNER_SECRET_BYTES, ConversationRef, Owner, SessionId
from ports.client_keys import Caller
from ports.errors import ClientKeyInvalid

_PREFIX: Final = "ck_"
_MAC_BYTES: Final = 16
_KEY_CHARACTERS: Final = len(_PREFIX) + (OWNER_SECRET_BYTES + _MAC_BYTES) * 4 // 3
_PSEUDONYM_DIGITS: Final = 16
_CONVERSATION_DIGITS: Final = 32
_ANYBODYS: Final = b"client key"
_OPERATORS: Final = b"operator's client key"


class SealedClientKeys:
    """Client keys signed with master keys: the ring's first key issues, any key authenticates."""

    def __init__(self, *, ring: KeyRing, random_bytes: Callable[[int], bytes]) -> None:
        """``random_bytes(n)`` returns n bytes that cannot be guessed."""
        self._ring = ring
        self._random_bytes = random_bytes

    def issue(self, *, from_operator: bool = False) -> str:
        """See ``ports.client_keys.ClientKeys.issue``."""
        label = _OPERATORS if from_operator else _ANYBODYS
        return _encode(self._random_bytes(OWNER_SECRET_BYTES), self._ring.first, label)

    def authenticate(self, client_key: str) -> Caller:
        """See ``ports.client_keys.ClientKeys.authenticate``."""
        secret, mac = _decode(client_key)
        newest = self._ring.first
        for key, label in product(self._ring, (_ANYBODYS, _OPERATORS)):
            if hmac.compare_digest(mac, _mac(secret, key, label)):
                return Caller(
                    owner=Owner(secret=secret),
                    is_from_operator=label is _OPERATORS,
                    reissued_key=None if key is newest else _encode(secret, newest, label),
                )
        raise ClientKeyInvalid

    def session_for_chat_id(self, owner: Owner, chat_id: str) -> SessionId:
        """See ``ports.client_keys.ClientKeys.session_for_chat_id``."""
        return _derived_session(owner, b"chat id", chat_id)

    def session_for_request(self, owner: Owner, idempotency_key: str) -> SessionId:
        """See ``ports.client_keys.ClientKeys.session_for_request``."""
        return _derived_session(owner, b"idempotency key", idempotency_key)

    def session_for_chain(self, owner: Owner, name: str) -> SessionId:
        """See ``ports.client_keys.ClientKeys.session_for_chain``."""
        return _derived_session(owner, b"chain", name)

    def conversation_pseudonym(self, ref: ConversationRef) -> str:
        """See ``ports.client_keys.ClientKeys.conversation_pseudonym``."""
        name = b"conversation pseudonym\0" + ref.session_id.encode()
        digest = hmac.digest(ref.owner.secret, name, "sha256")
        return digest.hex()[:_CONVERSATION_DIGITS]

    def pseudonym(self, name: str) -> str:
        """See ``ports.client_keys.ClientKeys.pseudonym``."""
        digest = hmac.digest(self._ring.first.limits, b"pseudonym\0" + name.encode(), "sha256")
        return digest.hex()[:_PSEUDONYM_DIGITS]


def _mac(secret: bytes, key: MasterKey, label: bytes) -> bytes:
    return hmac.digest(key.auth, label + secret, "sha256")[:_MAC_BYTES]


def _encode(secret: bytes, key: MasterKey, label: bytes) -> str:
    return _PREFIX + base64.urlsafe_b64encode(secret + _mac(secret, key, label)).decode()


def _decode(client_key: str) -> tuple[bytes, bytes]:
    if len(client_key) != _KEY_CHARACTERS or not client_key.startswith(_PREFIX):
        raise ClientKeyInvalid
    try:
        raw = base64.b64decode(client_key[len(_PREFIX) :], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        # The cause contains the key.
        raise ClientKeyInvalid from None
    if base64.urlsafe_b64encode(raw).decode() != client_key[len(_PREFIX) :]:
        raise ClientKeyInvalid  # It is another encoding of the same bytes.
    return raw[:OWNER_SECRET_BYTES], raw[OWNER_SECRET_BYTES:]


def _derived_session(owner: Owner, kind: bytes, name: str) -> SessionId:
    """A version 8 UUID (RFC 9562, section 5.8); deriving it requires the owner's secret."""
    digest = hmac.digest(
        owner.secret, kind + b"\0" + name.encode("utf-8", "surrogatepass"), "sha256"
    )
    number = int.from_bytes(digest[:16], "big")
    number = (number & ~(0xF << 76)) | (8 << 76)
    number = (number & ~(0b11 << 62)) | (0b10 << 62)
    return SessionId(str(UUID(int=number)))
