"""Every stable code a caller may meet: its status, its sentence, whether to come back."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ports.errors import PortError
from ports.model_errors import ModelError

STATUS_BY_CODE: Final[Mapping[str, int]] = MappingProxyType(
    {
        # what was sent
        "invalid_input": 400,
        "bad_request": 400,
        "body_not_json": 400,
        "body_invalid": 400,
        "body_incomplete": 400,
        "message_empty": 400,
        "message_not_text": 400,
        "message_too_long": 413,
        "context_too_long": 413,
        "parameter_unsupported": 400,
        "previous_response_not_found": 400,
        "tool_call_not_found": 400,
        "session_id_missing": 400,
        "session_id_malformed": 400,
        "chat_id_malformed": 400,
        "message_id_malformed": 400,
        "message_id_taken": 409,
        "cursor_malformed": 400,
        "idempotency_key_malformed": 400,
        "tool_results_unexpected": 409,
        "tool_result_too_long": 413,
        "client_key_invalid": 401,
        "client_key_not_allowed": 403,
        "cross_site_request": 403,
        "not_found": 404,
        "conversation_not_found": 404,
        "message_not_found": 404,
        "turn_not_found": 404,
        "model_not_found": 404,
        "method_not_allowed": 405,
        "body_too_slow": 408,
        "conversation_exists": 409,
        "turn_in_progress": 409,
        "turn_superseded": 409,
        "nothing_to_answer": 409,
        "conversation_gone": 410,
        "conversation_too_large": 413,
        "body_too_large": 413,
        "unsupported_media_type": 415,
        "idempotency_key_reused": 422,
        "too_many_requests": 429,
        # what failed here
        "internal_error": 500,
        "domain_error": 500,
        "port_error": 500,
        "older_messages_needed": 500,
        "stored_state_unreadable": 500,
        "store_unavailable": 503,
        "conversation_busy": 503,
        "turn_not_logged": 503,
        "too_many_turns": 503,
        "too_many_connections": 503,
        "shutting_down": 503,
        "reply_not_saved": 503,
        # what failed at the model
        "model_failed": 502,
        "model_unavailable": 502,
        "model_credentials_rejected": 502,
        "model_request_rejected": 502,
        "model_context_exceeded": 502,
        "model_content_filtered": 502,
        "model_stream_malformed": 502,
        "model_busy": 503,
        "model_timeout": 504,
        "turn_abandoned": 502,
    }
)

CODES_TO_RETRY: Final = frozenset(
    {
        "store_unavailable",
        "conversation_busy",
        "too_many_turns",
        "shutting_down",
        "model_busy",
        "too_many_connections",
    }
)

_SENTENCE_BY_CODE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "conversation_gone": "This conversation was forgotten while the reply was being written.",
        "reply_not_saved": "The reply could not be saved; please send your message again.",
        "turn_superseded": "Another message took the place of this reply.",
        "turn_abandoned": "The reply broke off; please ask again.",
        "store_unavailable": "The conversation cannot be reached at the moment.",
        "too_many_connections": "This server has no room for another connection.",
        "internal_error": "Something went wrong on our side.",
    }
)


def sentence_of(code: str) -> str:
    """A sentence for people about ``code``."""
    return _SENTENCE_BY_CODE.get(code) or _PORT_SENTENCES.get(code, "The reply failed.")


def _kinds_of(kind: type[PortError]) -> list[type[PortError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in _kinds_of(sub))]


_PORT_SENTENCES: Final = MappingProxyType(
    {kind.code: kind.sentence for kind in (*_kinds_of(PortError), *_kinds_of(ModelError))}
)
