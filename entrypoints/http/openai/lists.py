"""Pages of items, as OpenAI's clients read them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from attrs import frozen
from msgspec import Meta
from starlette.requests import Request

from entrypoints.http.openai.documents import ItemListDocument
from entrypoints.http.openai.errors import invalid
from entrypoints.http.openai.items import Item, find_item, with_encrypted
from entrypoints.http.openai.parameters import check_include

_DEFAULT_LIMIT: Final = 20
_MAX_LIMIT: Final = 100
_MAX_DIGITS: Final = 9
INCLUDE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "include": Annotated[
            list[Literal["reasoning.encrypted_content"]],
            Meta(description="Adds the encrypted content of reasoning, which is always null."),
        ]
    }
)
"""The query parameter that ``includes_encrypted`` reads."""
PAGE_PARAMETERS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "after": Annotated[str, Meta(description="The id of the item before the page.")],
        "limit": Annotated[
            int,
            Meta(
                ge=1,
                le=_MAX_LIMIT,
                description="How many items to return.",
                extra_json_schema={"default": _DEFAULT_LIMIT},
            ),
        ],
        "order": Annotated[
            Literal["asc", "desc"],
            Meta(
                description="`desc` returns the newest item first.",
                extra_json_schema={"default": "desc"},
            ),
        ],
        **INCLUDE,
    }
)
PAGE_PROBLEMS: Final = ("body_invalid", "parameter_unsupported", "message_not_found")
"""The problems of requests with these parameters."""


@frozen(kw_only=True)
class PageRequest:
    """The page of a list to return.

    Attributes:
        after: the id of the item before the page; None for the first page.
        limit: the maximum number of items.
        oldest_first: whether the oldest item comes first; otherwise the newest does.
        encrypted: whether reasoning has a member for its encrypted content.
    """

    after: str | None
    limit: int
    oldest_first: bool
    encrypted: bool


def page_request(request: Request) -> PageRequest:
    """The page that the query requests.

    Raises:
        BadRequest: a parameter is invalid or not supported.
    """
    query = request.query_params
    limit, order = query.get("limit", str(_DEFAULT_LIMIT)), query.get("order", "desc")
    is_number = limit.isascii() and limit.isdigit() and len(limit) <= len(str(_MAX_LIMIT))
    if not (is_number and 1 <= int(limit) <= _MAX_LIMIT):
        raise invalid("limit", f"a whole number from 1 to {_MAX_LIMIT}")
    if order not in ("asc", "desc"):
        raise invalid("order", "asc or desc")
    return PageRequest(
        after=query.get("after"),
        limit=int(limit),
        oldest_first=order == "asc",
        encrypted=includes_encrypted(request),
    )


def includes_encrypted(request: Request) -> bool:
    """Whether the query's ``include`` requests the encrypted content of reasoning.

    Raises:
        BadRequest: it requests something else.
    """
    query = request.query_params
    values = [*query.getlist("include"), *query.getlist("include[]")]
    check_include(values)
    return bool(values)


def check_stream_parameters(request: Request) -> None:
    """Reject invalid parameters of a stream, even if no stream is requested.

    Raises:
        BadRequest: one of them is neither ``true`` nor ``false``, or is not a whole number.
    """
    for name in ("stream", "include_obfuscation"):
        if request.query_params.get(name, "false") not in ("true", "false"):
            raise invalid(name, "true or false")
    starting_after(request)


def starting_after(request: Request) -> int:
    """The number of the last event that the client has received; -1 if it has none.

    Raises:
        BadRequest: it is not a whole number.
    """
    number = request.query_params.get("starting_after")
    if number is None:
        return -1
    if not (number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS):
        raise invalid("starting_after", "a whole number")
    return int(number)


def item_page(items: Sequence[Item], page: PageRequest) -> ItemListDocument:
    """One page of ``items``, which are oldest first.

    Raises:
        MessageNotFound: ``page.after`` is not the id of one of them.
    """
    ordered = [*items] if page.oldest_first else [*reversed(items)]
    start = 0 if page.after is None else ordered.index(find_item(ordered, page.after)) + 1
    on_page = ordered[start : start + page.limit]
    has_more = start + len(on_page) < len(ordered)
    return item_list(on_page, has_more=has_more, encrypted=page.encrypted)


def item_list(
    items: Sequence[Item], *, has_more: bool = False, encrypted: bool = False
) -> ItemListDocument:
    """All of ``items`` as one page."""
    return ItemListDocument(
        data=[with_encrypted(item.document) if encrypted else item.document for item in items],
        first_id=items[0].id if items else "",
        last_id=items[-1].id if items else "",
        has_more=has_more,
    )
