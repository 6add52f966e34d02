"""Lists, page by page, as OpenAI's clients walk them."""

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen
from starlette.requests import Request

from entrypoints.http.openai.errors import invalid, unsupported
from entrypoints.http.openai.items import Item, item_named

_PAGE, _LONGEST_PAGE = 20, 100
_DIGITS: Final = 9
_ORDERS: Final = ("asc", "desc")


@frozen(kw_only=True)
class PageWanted:
    """Which part of a list.

    Attributes:
        after: the id that precedes the page in its order; absent for the first page.
    """

    after: str | None
    limit: int
    oldest_first: bool


def page_wanted(request: Request) -> PageWanted:
    """The page that the query asks for.

    Raises:
        BadRequest: it cannot be understood.
    """
    query = request.query_params
    check_includes(request)
    limit, order = query.get("limit", str(_PAGE)), query.get("order", "desc")
    is_number = limit.isascii() and limit.isdigit() and len(limit) <= len(str(_LONGEST_PAGE))
    if not (is_number and 1 <= int(limit) <= _LONGEST_PAGE):
        raise invalid("limit", f"a whole number from 1 to {_LONGEST_PAGE}")
    if order not in _ORDERS:
        raise invalid("order", "asc or desc")
    return PageWanted(after=query.get("after"), limit=int(limit), oldest_first=order == "asc")


def check_includes(request: Request) -> None:
    """Refuse wishes for more than there is."""
    if any(name in request.query_params for name in ("include", "include[]")):
        raise unsupported("include")


def starting_after(request: Request) -> int:
    """The number of the last event that was seen; -1 for none.

    Raises:
        BadRequest: it is no number.
    """
    seen = request.query_params.get("starting_after")
    if seen is None:
        return -1
    if not (seen.isascii() and seen.isdigit() and len(seen) <= _DIGITS):
        raise invalid("starting_after", "a whole number")
    return int(seen)


def page_of(items: Sequence[Item], wanted: PageWanted) -> dict[str, Any]:
    """The page of a list that is given oldest first.

    Raises:
        MessageNotFound: ``after`` names nothing of it.
    """
    ordered = [*items] if wanted.oldest_first else [*reversed(items)]
    begin = 0
    if wanted.after is not None:
        begin = ordered.index(item_named(ordered, wanted.after)) + 1
    shown = ordered[begin : begin + wanted.limit]
    return list_of(shown, has_more=begin + len(shown) < len(ordered))


def list_of(items: Sequence[Item], *, has_more: bool = False) -> dict[str, Any]:
    """A list; its ends are empty strings when there is nothing in it."""
    return {
        "object": "list",
        "data": [item.document for item in items],
        "first_id": items[0].id if items else "",
        "last_id": items[-1].id if items else "",
        "has_more": has_more,
    }
