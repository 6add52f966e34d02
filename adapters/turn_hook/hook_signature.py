"""Signs requests to the hook, in the header scheme of Standard Webhooks (v1, HMAC-SHA256)."""

import base64
import hmac
from collections.abc import Callable, Sequence
from typing import Final

PREFIX: Final = "whsec_"
"""How a secret begins; base64 of the key follows."""

MIN_KEY_BYTES: Final = 24
MAX_KEY_BYTES: Final = 64
_NEW_KEY_BYTES: Final = 32


def new_secret(random_bytes: Callable[[int], bytes]) -> str:
    """A secret for a hook; ``random_bytes`` must be unpredictable."""
    return PREFIX + base64.b64encode(random_bytes(_NEW_KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret of the form ``whsec_…``.

    Raises:
        ValueError: it has another form. The message does not repeat the secret.
    """
    text = secret.removeprefix(PREFIX)
    key = base64.b64decode(text, validate=True)
    if text == secret or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError
    return key


def signature_headers(
    keys: Sequence[bytes], *, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The headers that prove who sent ``body`` and when, with one signature for each key."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
