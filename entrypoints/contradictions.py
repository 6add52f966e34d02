"""Settings that each are right and do not go together."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from entrypoints.settings import Settings, Storage


def contradictions(settings: Settings) -> Iterator[str]:
    """What does not go together, by name; no value is shown."""
    yield from _of_storage(settings)
    yield from _of_the_model(settings)
    if settings.embedding_origins and not settings.is_https:
        yield "PRIVITY_EMBEDDING_ORIGINS needs an https PRIVITY_PUBLIC_URL."


def is_loopback(host: str) -> bool:
    """Whether this names the machine itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _of_storage(settings: Settings) -> Iterator[str]:
    if settings.redis_enabled and settings.redis_url is None:
        yield "REDIS_ENABLED is true, but REDIS_URL is not set."
    if (settings.redis_client_cert is None) != (settings.redis_client_key is None):
        yield "REDIS_CLIENT_CERT and REDIS_CLIENT_KEY go together."
    if settings.storage is not Storage.REDIS:
        return
    if not settings.keys:
        yield "Redis needs PRIVITY_KEYS: make a key with `privity new-key` and keep it."
    if _is_in_the_clear(settings):
        yield "REDIS_URL leaves this machine without TLS: use rediss:// or REDIS_PLAINTEXT=allow."


def _is_in_the_clear(settings: Settings) -> bool:
    parts = urlsplit(settings.redis_url or "")
    is_elsewhere = parts.scheme == "redis" and not is_loopback(parts.hostname or "")
    return is_elsewhere and not settings.redis_plaintext


def _of_the_model(settings: Settings) -> Iterator[str]:
    if settings.model_base_url and not settings.model_name:
        yield "MODEL_BASE_URL is set, but MODEL_NAME is not."
    if settings.model_name and not settings.model_base_url:
        yield "MODEL_NAME is set, but MODEL_BASE_URL is not."
    if settings.model_reply_tokens >= settings.model_context_tokens:
        yield "MODEL_REPLY_TOKENS must be below MODEL_CONTEXT_TOKENS."
