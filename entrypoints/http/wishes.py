"""What a request's headers wish for: a representation, a language."""

from collections.abc import Sequence

from starlette.requests import Request


def wants_json(request: Request) -> bool:
    """Whether a whole JSON document is asked for instead of a stream."""
    accepted = request.headers.get("accept", "").lower()
    return "application/json" in accepted and "text/event-stream" not in accepted


def wanted_locales(request: Request, in_body: str | None, *, first: bool) -> Sequence[str]:
    """Wanted locales, best first: the body's, the path prefix's, and for a first message the
    browser's. Empty when a later message names none.
    """  # noqa: D205 - the promise is one sentence
    told = [tag for tag in (in_body, getattr(request.state, "locale", None)) if tag]
    if told or not first:
        return told
    return _accepted_languages(request.headers.get("accept-language", ""))


def _accepted_languages(header: str) -> Sequence[str]:
    """The tags of an Accept-Language header (RFC 9110, section 12.5.4), best first."""
    weighted = [_weighted(item) for item in header.split(",")[:32]]
    ordered = sorted(weighted, key=lambda item: -item[1])
    return [tag for tag, weight in ordered if tag and tag != "*" and weight > 0]


def _weighted(item: str) -> tuple[str, float]:
    tag, _, quality = item.partition(";")
    _, _, number = quality.partition("=")
    try:
        return tag.strip(), float(number) if number.strip() else 1.0
    except ValueError:
        return tag.strip(), 0.0
