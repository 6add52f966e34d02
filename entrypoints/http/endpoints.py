"""Routes that describe themselves: the OpenAPI document is generated from their descriptions.

The schemas of bodies and responses come from the types that the routes decode and encode.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

from attrs import frozen
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.documents import ProblemDocument

EVENT_STREAM: Final = "text/event-stream"
Positive = Annotated[int, Meta(ge=1)]

ANYWHERE: Final = (
    "bad_request",
    "url_too_long",
    "host_unknown",
    "too_many_requests",
    "transfers_unfinished",
    "head_too_large",
    "internal_error",
    "too_many_connections",
    "too_many_transfers",
    "shutting_down",
)
"""The problems that any request can end in, whatever its route."""
_WITH_A_KEY: Final = ("client_key_invalid", "client_key_not_allowed", "on_behalf_of_malformed")
_WITH_A_BODY: Final = (
    "body_not_json",
    "body_invalid",
    "body_incomplete",
    "body_too_slow",
    "body_too_large",
    "unsupported_media_type",
)
STORED: Final = ("stored_state_unreadable", "store_unavailable")
"""The problems of routes that read what is stored."""
CHANGED: Final = (*STORED, "conversation_busy", "conversation_full", "budget_exhausted")
"""The problems of routes that change what is stored."""
USER_TEXT: Final = ("message_empty", "message_not_text", "message_too_long")
"""The problems of a text that a person wrote."""
IMAGES: Final = ("image_invalid", "images_not_supported", "image_too_large", "too_many_images")
"""The problems of images in the message of a person."""
MODEL: Final = (
    "model_failed",
    "model_unavailable",
    "model_credentials_rejected",
    "model_request_rejected",
    "model_context_exceeded",
    "model_content_filtered",
    "model_stream_malformed",
    "model_busy",
    "model_timeout",
)
"""The failures of the model."""
HOOK: Final = ("hook_failed", "hook_unavailable", "hook_answer_invalid", "hook_timeout")
"""The failures of the operator's hook."""
REPLY: Final = (
    *CHANGED,
    "idempotency_key_malformed",
    "turn_in_progress",
    "turn_superseded",
    "conversation_gone",
    "conversation_exists",
    "idempotency_key_reused",
    "request_already_answered",
    "too_many_turns",
    "turn_not_logged",
    "reply_not_saved",
    "turn_abandoned",
    *MODEL,
    *HOOK,
)
"""The problems of routes that answer with a reply of the model."""
KEY_HEADERS: Final = ("Set-Cookie", "Privity-Client-Key")
"""The response headers that send a caller its client key."""


@frozen
class Events:
    """A response that is an event stream.

    Attributes:
        kinds: the types of the JSON in the ``data`` of its events.
    """

    kinds: tuple[Any, ...]


class Endpoint(Route):
    """A route with its description.

    A family of routes sets the class attributes; each route passes the arguments. This is all that
    a new route needs to appear in the OpenAPI document and on its page. Tests require an example
    of each body and of each successful response, and an existing code for each problem.

    Attributes:
        problem: the media type of every problem, and the type of its document.
        code_at: the members that lead to the code in the document of a problem.
        security: the security requirements; None means those of the whole document.
        tag: the group of routes that it belongs to.
        examples: an example for each type of a body, a response or a stream.
        response_headers: the headers of successful responses.
        problem_headers: further headers of problems.
    """

    problem: ClassVar[tuple[str, type]] = ("application/problem+json", ProblemDocument)
    code_at: ClassVar[Sequence[str]] = ("code",)
    security: ClassVar[Sequence[Mapping[str, Sequence[str]]] | None] = None
    tag: str = "Service"
    examples: Mapping[Any, Any] = MappingProxyType({})
    response_headers: Sequence[str] = ()
    problem_headers: ClassVar[Sequence[str]] = ()

    def __init__(
        self,
        path: str,
        handler: Callable[[Request], Awaitable[Response]],
        method: str,
        *,
        summary: str,
        responses: Mapping[HTTPStatus, Sequence[Any]],
        description: str = "",
        body: Sequence[type] = (),
        body_media_types: Sequence[str] = ("application/json",),
        is_body_optional: bool = False,
        in_path: Mapping[str, Any] = MappingProxyType({}),
        query: Mapping[str, Any] = MappingProxyType({}),
        headers: Sequence[str] = (),
        problems: Sequence[str] = (),
        tag: str | None = None,
        examples: Mapping[Any, Any] | None = None,
        response_headers: Sequence[str] | None = None,
    ) -> None:
        """Route ``method`` of ``path`` to ``handler``.

        Args:
            path: in Starlette's syntax.
            handler: returns the response to a request.
            method: the HTTP method.
            summary: what the route does, in one sentence.
            responses: what a successful response contains, by status: a type stands for JSON of
                that type, ``Events`` for an event stream, a string for another media type.
            description: what a caller has to know beyond the summary.
            body: the types of the JSON bodies that it accepts, one per client protocol. A class
                attribute ``further_schema`` adds to the schema of a type.
            body_media_types: the content types that the body may have.
            is_body_optional: True if a request may have no body.
            in_path: the types of the parameters in the path, by name; text if left out.
            query: the types of the query parameters, by name; a ``*`` marks a required one.
            headers: the request headers that it reads, as in ``REQUEST_HEADERS``.
            problems: the codes that it can answer with, besides those that its method, its body
                and its authentication bring along. Constants of this module have the usual groups.
            tag: replaces that of the class.
            examples: replaces those of the class.
            response_headers: as in ``RESPONSE_HEADERS``; replaces those of the class.
        """
        super().__init__(path, handler, methods=[method])
        self.method = method.lower()
        self.summary = summary
        self.description = description
        self.body = body
        self.body_media_types = body_media_types
        self.is_body_optional = is_body_optional
        self.responses = responses
        self.in_path = in_path
        self.query = query
        self.headers = headers
        self.problems = tuple(dict.fromkeys((*self._common_problems(), *problems)))
        self.tag = tag or self.tag
        self.examples = self.examples if examples is None else examples
        if response_headers is not None:
            self.response_headers = response_headers

    def _common_problems(self) -> Iterator[str]:
        yield from ANYWHERE
        if self.body:
            yield from _WITH_A_BODY
        if self.security == ():
            return
        yield from _WITH_A_KEY
        # Only the cookie is sent by browsers on behalf of another site.
        if self.security is None and self.method != "get":
            yield "cross_site_request"

    def codes_of(self, problems: Sequence[str]) -> Sequence[str]:
        """The codes with which these problems are reported."""
        return problems

    @property
    def types(self) -> Iterator[Any]:
        """The types of all bodies, responses, events and problems."""
        yield from self.body
        for content in self.contents:
            if isinstance(content, Events):
                yield from content.kinds
            elif not isinstance(content, str):
                yield content
        yield self.problem[1]

    @property
    def contents(self) -> Iterator[Any]:
        """What all successful responses contain."""
        for contents in self.responses.values():
            yield from contents


class PublicEndpoint(Endpoint):
    """A route that reads no client key."""

    security: ClassVar = ()


REQUEST_HEADERS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "Idempotency-Key": Annotated[
            str,
            Meta(
                pattern="^[!-~]{1,255}$",
                description="The client's name for this request; a repeat with the same key joins "
                "the first request instead of sending the message again.",
            ),
        ],
        "Last-Event-ID": Annotated[
            str,
            Meta(
                pattern=r"^([!-~]+\.[0-9]{1,18})?$",
                description="The `id` of the last event that was received: a turn, a dot and a "
                "number.",
            ),
        ],
        "If-None-Match": Annotated[
            str, Meta(description="The entity tags of copies that the client has.")
        ],
        "Privity-On-Behalf-Of": Annotated[
            str,
            Meta(
                pattern="^[!-~]{1,256}$",
                description="The person for whom an app server sends this request; only for client "
                "keys that the operator issued or listed.",
            ),
        ],
        "Privity-Conversation": Annotated[
            str,
            Meta(
                description="The id of a conversation: only the newest message is read, and the "
                "stored history is used."
            ),
        ],
    }
)
"""The types of the request headers, by name."""

RESPONSE_HEADERS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "X-Session-Id": Annotated[
            str,
            Meta(
                description="The session id of the conversation.",
                examples=["0a9efcbb-7f63-4a82-9119-db150eaa45b6"],
            ),
        ],
        "Set-Cookie": Annotated[
            str, Meta(description="The cookie with the client key, renewed for 24 hours.")
        ],
        "Privity-Client-Key": Annotated[
            str,
            Meta(
                description="The caller's client key with a new signature, after the operator has "
                "rotated the master keys. Store it."
            ),
        ],
        "Privity-Conversation": Annotated[
            str, Meta(description="The conversation in which the reply is stored, if any.")
        ],
        "Content-Disposition": Annotated[str, Meta(description="The name of the file.")],
        "ETag": Annotated[str, Meta(description="The entity tag of this version.")],
        "Retry-After": Annotated[
            Positive, Meta(description="The seconds to wait before trying again.")
        ],
        "RateLimit": Annotated[
            str, Meta(description="The limit that was reached, and what is left of it.")
        ],
        "RateLimit-Policy": Annotated[
            str, Meta(description="The amount and the window of that limit.")
        ],
        "WWW-Authenticate": Annotated[str, Meta(description="Always `Bearer`.")],
        "X-Should-Retry": Annotated[
            str, Meta(description="`false` if OpenAI's clients must not retry by themselves.")
        ],
    }
)
"""The types of the response headers, by name."""
