"""Replies that ended early: where one was cut, and how it grows when a turn continues it.

The text of the first step of the continuation joins the last text of the reply without a gap.
Everything else, such as reasoning or a later step, follows as parts of its own.
"""

from collections.abc import Iterable, Sequence
from itertools import takewhile

from attrs import evolve, fields

from domain.model.limits import MAX_CONTINUED_BYTES
from domain.model.message import (
    FinishReason,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    TextPart,
    Usage,
    counted_bytes,
)
from domain.model.turn import CutPoint, Turn, TurnStatus


def cut_point(reply: Message) -> CutPoint | None:
    """Where the reply was cut; None if it cannot be continued.

    Only a reply that has text and ended early can be continued: it reached the maximum length, was
    stopped, or failed. Only reasoning and sources may follow its last text.
    """
    is_long = counted_bytes(reply.parts) > MAX_CONTINUED_BYTES
    if reply.role is not Role.ASSISTANT or not _ended_early(reply) or is_long:
        return None
    _, text, after = _around_last_text(reply.parts)
    is_last = all(isinstance(part, ReasoningPart | SourcePart) for part in after)
    if not text.strip() or not is_last:
        return None
    return CutPoint(parts=len(reply.parts), characters=len(text))


def with_continuation(reply: Message, turn: Turn, more: Sequence[Part]) -> Message:
    """The reply with the parts that ``turn``, which has ended, added to it.

    If the turn did not finish and added nothing, the reply stays as it was cut, so that it can be
    continued again.
    """
    is_finished = turn.status is TurnStatus.FINISHED
    if not more and not is_finished:
        return reply
    more_text, others = text_and_others(more)
    before, text, after = _around_last_text(reply.parts)
    return evolve(
        reply,
        parts=(*before, TextPart(text + more_text), *after, *others),
        status=MessageStatus(turn.status.value),
        finish_reason=None,
        usage=reply.usage if is_finished else None,
    )


def split_at_cut(
    parts: Sequence[Part], cut_at: CutPoint
) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The parts that a reply had when it was cut, and those that its continuation added."""
    before, text, after = _around_last_text(parts[: cut_at.parts])
    old, new = text[: cut_at.characters], text[cut_at.characters :]
    kept, added = ((TextPart(half),) if half else () for half in (old, new))
    return (*before, *kept, *after), (*added, *parts[cut_at.parts :])


def text_and_others(parts: Iterable[Part]) -> tuple[str, tuple[Part, ...]]:
    """All text of the first model call in ``parts``, and all other parts."""
    parts = tuple(parts)
    first = tuple(takewhile(lambda part: not isinstance(part, StepMark), parts))
    text = "".join(part.text for part in first if isinstance(part, TextPart))
    others = (part for part in first if not isinstance(part, TextPart))
    return text, (*others, *parts[len(first) :])


def total_usage(usage: Usage | None, more: Usage | None) -> Usage | None:
    """The tokens of two model calls; a count is None if it is not known for both."""
    if usage is None or more is None:
        return None
    counts = {}
    for name in (field.name for field in fields(Usage)):
        first, second = getattr(usage, name), getattr(more, name)
        counts[name] = None if first is None or second is None else first + second
    return Usage(**counts)


def _ended_early(reply: Message) -> bool:
    is_cut = reply.finish_reason is FinishReason.LENGTH
    return is_cut or reply.status is not MessageStatus.FINISHED


def _around_last_text(
    parts: Sequence[Part],
) -> tuple[tuple[Part, ...], str, tuple[Part, ...]]:
    """The parts before the last text, that text, and the parts after it."""
    for place in reversed(range(len(parts))):
        part = parts[place]
        if isinstance(part, TextPart):
            return tuple(parts[:place]), part.text, tuple(parts[place + 1 :])
    return tuple(parts), "", ()
