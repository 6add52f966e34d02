"""The metadata of a conversation: names and values that a client attached."""

from collections.abc import Mapping

from attrs import evolve

from domain.model.conversation import Conversation, metadata_bytes
from domain.model.errors import InvalidInput
from domain.model.limits import MAX_METADATA_PAIRS, PART_OVERHEAD_BYTES


def charged_bytes(metadata: Mapping[str, str]) -> int:
    """What storing metadata costs; not zero even if it is empty, because the change is stored."""
    return PART_OVERHEAD_BYTES + metadata_bytes(metadata)


def with_metadata(conversation: Conversation, metadata: Mapping[str, str]) -> Conversation:
    """The conversation with its metadata replaced; retention is not restarted."""
    return evolve(conversation, metadata=metadata)


def with_metadata_changes(
    conversation: Conversation, changes: Mapping[str, str | None] | None
) -> Conversation:
    """The conversation with ``changes`` to its metadata; retention is not restarted.

    They are a JSON merge patch (RFC 7396): a value replaces the one of its name, None removes the
    name, and None instead of ``changes`` removes all names. All other names keep their values.

    Raises:
        InvalidInput: ``invalid_input`` if there would be more than 16 names.
    """
    if changes is None:
        return with_metadata(conversation, {})
    merged = {**conversation.metadata, **changes}
    metadata = {name: value for name, value in merged.items() if value is not None}
    if len(metadata) > MAX_METADATA_PAIRS:
        why = f"A conversation has at most {MAX_METADATA_PAIRS} names in its metadata."
        raise InvalidInput("invalid_input", why, field="metadata")
    return with_metadata(conversation, metadata)
