"""The error codes of model servers, and which of them may be logged.

A server can put anything where its code should be, also words of the prompt: ``blocked_word_teal``.
So a code is logged only if it is a common one, or has no word of the request in it.
"""

import re
from typing import Final

_COMMON: Final = """
api_error authentication_error billing_hard_limit_reached content_filter content_policy_violation
context_length_exceeded engine_overloaded exceed_context_size_error insufficient_permissions
insufficient_quota internal_error internal_server_error invalid_api_key invalid_model
invalid_request_error invalid_type invalid_value missing_required_parameter model_not_found
no_db_connection not_found_error not_supported_error overloaded overloaded_error permission_error
rate_limit_error rate_limit_exceeded server_error tokens_exceeded unavailable_error
unknown_parameter unsupported_parameter unsupported_value
BadRequestError InternalServerError NotFoundError
AuthenticationFailed DeploymentNotFound ResourceNotFound ResponsibleAIPolicyViolation
DEADLINE_EXCEEDED FAILED_PRECONDITION INTERNAL INVALID_ARGUMENT NOT_FOUND PERMISSION_DENIED
RESOURCE_EXHAUSTED UNAUTHENTICATED UNAVAILABLE
"""
COMMON_CODES: Final = frozenset(_COMMON.split())
"""Codes of OpenAI, Anthropic, llama.cpp and LiteLLM, then of vLLM, Azure and Google."""

_WORD: Final = re.compile(r"[^\W_]+")
_PART: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_IMAGE: Final = re.compile(rb'"data:image/[^"]*"')
_LEAST_LETTERS: Final = 4
"""Shorter words occur in many others by chance."""


def may_repeat(code: str, request: bytes) -> bool:
    """Whether a code that is not a common one has a word of the request's body in it.

    Any word counts that stands alone in the code, and a longer one anywhere in it.
    """
    if code in COMMON_CODES:
        return False
    words = set(_WORD.findall(_IMAGE.sub(b"", request).decode("utf-8", "replace").lower()))
    lowered = code.lower()
    parts = {*_WORD.findall(lowered), *(part.lower() for part in _PART.findall(code))}
    return not words.isdisjoint(parts) or any(
        word in lowered for word in words if len(word) >= _LEAST_LETTERS
    )
