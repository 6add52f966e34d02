"""What can be asked over HTTP, for the OpenAPI document; a test compares it with the routes."""

from typing import Final

from attrs import frozen
from msgspec import Struct

from entrypoints.http.ai_sdk.bodies import AiSdkBody
from entrypoints.http.ai_sdk.history import AiSdkHistoryAnswer
from entrypoints.http.answers import (
    Answer,
    ClientKeyAnswer,
    ExportAnswer,
    HealthAnswer,
    HistoryAnswer,
    OpenedAnswer,
    ReplyAnswer,
    StoppedAnswer,
)
from entrypoints.http.bodies import (
    AgainBody,
    ChatBody,
    EmptyBody,
    NativeBody,
    OpenBody,
    StopBody,
)


@frozen(kw_only=True)
class Operation:
    """One operation: what it takes and gives.

    Attributes:
        other_body: what may be sent instead, by another client protocol.
        answer: of a success; absent when it has no content.
        streams: whether a success may stream instead.
        query: names of query parameters, with ``*`` behind the required ones.
        headers: names of request headers that mean something here.
    """

    method: str
    path: str
    summary: str
    status: int = 200
    body: type[NativeBody] | None = None
    other_body: type[Struct] | None = None
    answer: type[Answer] | None = None
    streams: bool = False
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


_SESSION: Final = "/api/chat/{id}"
OPERATIONS: Final = (
    Operation(
        method="post",
        path="/api/chat",
        summary="Say something; the reply streams, or comes whole with Accept: application/json.",
        body=ChatBody,
        other_body=AiSdkBody,
        answer=ReplyAnswer,
        streams=True,
        headers=("Idempotency-Key",),
    ),
    Operation(
        method="get",
        path="/api/chat",
        summary="Read what was said, the newest page first.",
        answer=HistoryAnswer,
        query=("sessionId*", "before", "limit"),
    ),
    Operation(
        method="delete",
        path="/api/chat",
        summary="Forget a conversation for good.",
        status=204,
        query=("sessionId*",),
    ),
    Operation(
        method="get",
        path=_SESSION,
        summary="Read the whole conversation in the shape of the AI SDK.",
        answer=AiSdkHistoryAnswer,
    ),
    Operation(
        method="delete", path=_SESSION, summary="Forget a conversation for good.", status=204
    ),
    Operation(
        method="get",
        path=f"{_SESSION}/stream",
        summary="Follow the reply being written; 204 when none is.",
        streams=True,
        headers=("Last-Event-ID",),
    ),
    Operation(
        method="post",
        path=f"{_SESSION}/stop",
        summary="Stop the reply being written; what was said stays.",
        body=StopBody,
        answer=StoppedAnswer,
    ),
    Operation(
        method="post",
        path=f"{_SESSION}/regenerate",
        summary="Ask for another answer, also to a message said anew.",
        body=AgainBody,
        answer=ReplyAnswer,
        streams=True,
        headers=("Idempotency-Key",),
    ),
    Operation(
        method="get",
        path=f"{_SESSION}/export",
        summary="Everything that is kept about a conversation.",
        answer=ExportAnswer,
    ),
    Operation(
        method="post",
        path="/api/sessions",
        summary="Open a conversation with the assistant's welcome.",
        status=201,
        body=OpenBody,
        answer=OpenedAnswer,
    ),
    Operation(
        method="post",
        path="/api/client-key",
        summary="Make a client key.",
        status=201,
        body=EmptyBody,
        answer=ClientKeyAnswer,
    ),
    Operation(method="delete", path="/api/client-key", summary="Clear the cookie.", status=204),
    Operation(method="get", path="/health/live", summary="Does it answer?", answer=HealthAnswer),
    Operation(method="get", path="/health/ready", summary="Can it work?", answer=HealthAnswer),
)
