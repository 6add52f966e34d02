"""Writes ``docs/hook.openapi.json``, which describes the hook to whoever implements it.

just hook-document
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.turn_hook.hook_bodies import AnswerBody, QuestionBody, question_body
from adapters.turn_hook.hook_sample import SAMPLE_ANSWER, sample_question

FILE: Final = Path(__file__).parent.parent / "docs" / "hook.openapi.json"
_JSON: Final = "application/json"
_DESCRIPTION: Final = """\
What Privity asks your hook before each reply. Implement this one operation at the URL that you \
set as PRIVITY_HOOK_URL. You choose the path.

Requests are signed as in Standard Webhooks. Verify them with one of its libraries and the secret \
in PRIVITY_HOOK_SECRET. A repeated request has the same `webhook-id`.
"""
_HEADERS: Final = {
    "webhook-id": "The id of the turn. It is the same in a repeated request.",
    "webhook-timestamp": "When the request was signed, in seconds since 1970.",
    "webhook-signature": "One or more signatures (`v1,` and base64), separated by spaces.",
}


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the hook."""
    references, components = msgspec.json.schema_components(
        [QuestionBody, AnswerBody], ref_template="#/components/schemas/{name}"
    )
    question, answer = references
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hook of Privity",
            "version": version("privity"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://hook.example", "description": "Your hook."}],
        "paths": {"/": {"post": _operation(question, answer)}},
        "components": {"schemas": components},
    }


def _operation(question: Any, answer: Any) -> dict[str, Any]:
    sent = msgspec.json.decode(question_body(sample_question()))
    return {
        "operationId": "prepareTurn",
        "summary": "Prepare a turn.",
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": meaning,
                "schema": {"type": "string"},
            }
            for name, meaning in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": question, "example": sent}},
        },
        "responses": {
            "200": {
                "description": "What you want for this turn.",
                "content": {_JSON: {"schema": answer, "example": dict(SAMPLE_ANSWER)}},
            },
            "204": {
                "description": "You want nothing. The model is asked as if there were no hook."
            },
            "4XX": {"description": "A failure. Answer 401 if the signature is not valid."},
            "5XX": {
                "description": "A failure. After 502, 503 and 504, the request is repeated once."
            },
        },
    }


def text() -> str:
    """The document as the file has it."""
    return msgspec.json.format(msgspec.json.encode(document())).decode() + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
