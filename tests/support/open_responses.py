"""Responses and events, checked with types that are generated from the Open Responses schema."""

from collections.abc import Iterator
from typing import Any, Final

import openresponses_types
from openresponses_types import ResponseResource
from pydantic import BaseModel

_EVENTS: Final[dict[str, type[BaseModel]]] = {
    kind.value: event
    for name, event in vars(openresponses_types).items()
    if name.endswith("StreamingEvent")
    for kind in event.model_fields["type"].annotation
}


def validated_response(document: Any) -> ResponseResource:
    """The response, if it satisfies the schema; otherwise ``ValidationError`` or ``ValueError``."""
    response = ResponseResource.model_validate(document)
    _reject_nulls(response)
    return response


def validated_event(document: Any) -> BaseModel:
    """An event of a stream, with the same errors; ``KeyError`` for an unknown type."""
    event = _EVENTS[document["type"]].model_validate(document)
    _reject_nulls(event)
    return event


def _reject_nulls(model: BaseModel) -> None:
    """The types take null for members that the schema only allows to be missing."""
    nulls = list(_nulls(model))
    if nulls:
        message = f"null instead of no value: {', '.join(nulls)}"
        raise ValueError(message)


def _nulls(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for element in value:
            yield from _nulls(element)
    elif isinstance(value, BaseModel):
        for name in value.model_fields_set:
            member = getattr(value, name)
            if member is None and not type(value).model_fields[name].is_required():
                yield name
            yield from _nulls(member)
