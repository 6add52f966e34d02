"""Compares the events of a stream with the schema in the OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.event_stream import Event


def validator(document: Mapping[str, Any], schema: Any) -> Draft202012Validator:
    """Checks documents against ``schema``, whose references lead into ``document``."""
    return Draft202012Validator({**schema, "components": document["components"]})


def event_errors(document: Mapping[str, Any], schema: Any, event: Event) -> Iterator[str]:
    """What in the event differs from ``schema``, the schema of the events of a stream.

    A schema does not apply ``contentSchema`` by itself, so it is applied to the JSON here.
    """
    if not event.data or event.data == "[DONE]":
        return
    [content] = [one for one in schema["properties"]["data"]["anyOf"] if "contentSchema" in one]
    check = validator(document, content["contentSchema"])
    for error in check.iter_errors(json.loads(event.data)):
        yield f"{event.kind}: {error.message}"
