"""Random values of everything that is stored."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from domain.model.conversation import Conversation, Folding
from domain.model.identifiers import MessageId, ProcessId, TurnId
from domain.model.message import (
    FilePart,
    FinishReason,
    ImagePart,
    Message,
    MessageStatus,
    PromptReport,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
    Usage,
)
from domain.model.piece import (
    ReasoningPiece,
    SourcePiece,
    StatePiece,
    StepPiece,
    TextPiece,
    ToolCallPiece,
    ToolResultPiece,
)
from domain.model.turn import CutPoint, IdempotencyKey, Outcome, Turn, TurnEnd, TurnStatus
from tests.support.builders import ID

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
counts = st.none() | st.integers(0, 10**9)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}|msg_[0-9a-f]{16}", fullmatch=True).map(MessageId)
times = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - `timezones` sets the zone
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cached_input_tokens=counts,
    reasoning_tokens=counts,
)
reports = st.builds(
    PromptReport,
    messages_seen=st.integers(0, 10**6),
    messages_total=st.integers(0, 10**6),
    dropped_options=st.lists(texts, max_size=2).map(tuple),
)
results = st.builds(ToolResultPart, call_id=texts, output=texts, failed=st.booleans())
sources = st.builds(
    SourcePart, id=texts, title=texts, url=st.none() | texts, excerpt=st.none() | texts
)
parts = st.one_of(
    st.builds(TextPart, texts),
    st.builds(ReasoningPart, texts),
    st.builds(ToolCallPart, call_id=texts, name=texts, arguments=texts, server=st.none() | texts),
    results,
    sources,
    st.builds(FilePart, url=texts, media_type=texts, name=st.none() | texts),
    st.just(StepMark()),
    st.builds(UnknownPart, texts),
    st.builds(
        ImagePart,
        media_type=st.sampled_from(["image/png", "image/jpeg", "image/webp", "image/gif"]),
        data=st.binary(max_size=40),
        detail=st.sampled_from(["auto", "low", "high"]),
    ),
)
messages = st.builds(
    Message,
    id=ids,
    number=st.integers(1, 10**6),
    turn=st.integers(0, 10**6),
    role=st.sampled_from(Role),
    parts=st.lists(parts, max_size=4).map(tuple),
    created_at=times,
    status=st.sampled_from(MessageStatus),
    finish_reason=st.none() | st.sampled_from(FinishReason),
    usage=st.none() | usages,
    prompt_report=st.none() | reports,
    page_context=st.none() | texts,
    hook_state_before=st.none() | texts,
)
turns = st.builds(
    Turn,
    id=st.from_regex(r"[0-9a-f]{32}", fullmatch=True).map(TurnId),
    number=st.integers(1, 10**6),
    reply_id=ids,
    opened_at=times,
    status=st.sampled_from(TurnStatus),
    continues=st.booleans(),
    process=st.none() | st.from_regex(r"[0-9a-f]{16}", fullmatch=True).map(ProcessId),
    idempotency=st.none()
    | st.builds(
        IdempotencyKey,
        digest=st.binary(min_size=1, max_size=32),
        body_digest=st.binary(max_size=32),
    ),
    ended_at=st.none() | times,
    error=st.none() | texts,
    cut_at=st.none()
    | st.builds(CutPoint, parts=st.integers(1, 9), characters=st.integers(1, 10**6)),
    parts_before=st.none() | st.integers(1, 99),
)
conversations = st.builds(
    Conversation,
    id=st.just(ID),
    locale=texts,
    created_at=times,
    retained_since=times,
    retained_for=st.sampled_from([timedelta(hours=24), timedelta(hours=1)]),
    messages=st.lists(messages, max_size=3).map(tuple),
    next_number=st.integers(1, 10**6),
    turn=turns,
    earlier_keys=st.lists(st.binary(min_size=5, max_size=5), max_size=31).map(tuple),
    working_memory_from=st.integers(1, 10**6),
    instructions_from=st.none() | st.integers(1, 10**6),
    summary=st.none() | texts,
    summarized_until=st.integers(1, 10**6),
    carried_summary=st.none() | texts,
    prompt_name=st.none() | texts,
    hook_state=st.none() | texts,
    folding=st.none()
    | st.builds(
        Folding,
        process=st.from_regex(r"[0-9a-f]{16}", fullmatch=True).map(ProcessId),
        since=times,
        until=st.integers(1, 10**6),
    ),
    metadata=st.dictionaries(texts, texts, max_size=3),
)
pieces = st.one_of(
    st.builds(TextPiece, texts),
    st.builds(ReasoningPiece, texts),
    st.builds(ToolCallPiece, call_id=texts, name=texts, arguments=texts, server=st.none() | texts),
    st.builds(ToolResultPiece, results),
    st.builds(SourcePiece, sources),
    st.just(StepPiece()),
    st.builds(StatePiece, st.none() | texts),
)
ends = st.builds(
    TurnEnd,
    outcome=st.sampled_from(Outcome),
    finish_reason=st.none() | st.sampled_from(FinishReason),
    usage=st.none() | usages,
    error=st.none() | texts,
    rejected_option=st.none() | texts,
    prompt_report=st.none() | reports,
    expires_at=st.none() | times,
)
