"""Examples in the AI SDK's format, for the OpenAPI document."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from entrypoints.http.ai_sdk.bodies import AiSdkBody
from entrypoints.http.ai_sdk.history import AiSdkHistoryDocument

_SESSION: Final = "0a9efcbb-7f63-4a82-9119-db150eaa45b6"

EXAMPLES: Final[Mapping[Any, Any]] = MappingProxyType(
    {
        AiSdkBody: {
            "id": "main",
            "messages": [
                {
                    "id": "q1",
                    "role": "user",
                    "parts": [{"type": "text", "text": "How high is Kilimanjaro?"}],
                }
            ],
            "trigger": "submit-message",
        },
        AiSdkHistoryDocument: {
            "id": "main",
            "sessionId": _SESSION,
            "locale": "en",
            "metadata": {},
            "messages": [
                {
                    "id": "q1",
                    "role": "user",
                    "metadata": {"sessionId": _SESSION, "createdAt": "2026-11-23T14:23:14.036017Z"},
                    "parts": [
                        {"type": "text", "text": "How high is Kilimanjaro?", "state": "done"}
                    ],
                }
            ],
            "activeStreamId": None,
            "expiresAt": "2026-11-24T14:23:14.851816Z",
        },
    }
)
