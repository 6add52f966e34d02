"""Prepares a turn: the question to the operator's hook, and what its answer changes.

The hook's instructions come after all others. So the prompts of all turns begin with the same text,
and model servers can reuse what they have computed for it.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import evolve

from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput, NothingToContinue
from domain.model.limits import MAX_EXCERPT_CHARACTERS
from domain.model.message import ImagePart, Message, Role, SourcePart, ToolResultPart, UnknownPart
from domain.model.piece import Piece, SourcePiece, StatePiece
from domain.model.preparation import Preparation, Question, TurnKind, Utterance
from domain.model.prompt import Passage, ReplyOptions
from domain.model.turn import Turn
from domain.service.forgetting import fitted, forgotten_before, newest_exchange_from
from domain.service.prompt_building import dialogue_of

_SET_BY_HOOK: Final = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "effort",
    "verbosity",
    "tool_choice",
    "parallel_tool_calls",
)
"""The options that a hook can set where the caller has set none."""

# The question


def question_of(
    conversation: Conversation, turn: Turn, *, pseudonym: str, messages: int
) -> Question:
    """What the hook learns about the open ``turn``.

    ``pseudonym`` stands for the conversation; ``messages`` is how many earlier messages the hook
    gets.
    """
    dialogue = dialogue_of(conversation.messages)
    newest = _newest_of_user(dialogue)
    return Question(
        turn_id=turn.id,
        conversation=pseudonym,
        turn=turn.number,
        kind=turn_kind(conversation, turn),
        locale=conversation.locale,
        message=newest.lines if newest else "",
        images=sum(isinstance(part, ImagePart) for part in newest.parts) if newest else 0,
        page_context=newest.page_context if newest else None,
        earlier=_utterances(dialogue, newest, messages) if messages else (),
        summary=conversation.summary,
        state=conversation.hook_state,
    )


def turn_kind(conversation: Conversation, turn: Turn) -> TurnKind:
    """Why the model is about to be asked in the open ``turn``."""
    if turn.cut_at is not None:
        return TurnKind.CONTINUE
    dialogue = dialogue_of(conversation.messages)
    if turn.continues or (dialogue and _ends_with_result(dialogue[-1])):
        return TurnKind.TOOL_RESULTS
    newest = _newest_of_user(dialogue)
    # Turn 0: a message that was added outside any turn, so no turn has answered it yet.
    is_new = newest is None or newest.turn in (0, turn.number)
    return TurnKind.MESSAGE if is_new else TurnKind.REGENERATE


def _newest_of_user(messages: Sequence[Message]) -> Message | None:
    return next((message for message in reversed(messages) if message.role is Role.USER), None)


def _ends_with_result(message: Message) -> bool:
    parts = [part for part in message.parts if not isinstance(part, UnknownPart)]
    return bool(parts) and isinstance(parts[-1], ToolResultPart)


def _utterances(
    dialogue: Sequence[Message], newest: Message | None, count: int
) -> tuple[Utterance, ...]:
    """What the newest ``count`` messages before ``newest`` say, without those that say nothing."""
    before = [message for message in dialogue if newest is None or message.number < newest.number]
    spoken = [Utterance(role=message.role, text=message.lines) for message in before[-count:]]
    return tuple(utterance for utterance in spoken if utterance.text)


# The answer


def with_preparation(
    conversation: Conversation, options: ReplyOptions, preparation: Preparation
) -> ReplyOptions:
    """The caller's options with what the hook wants; the options of the caller take precedence.

    The smaller of both limits on the reply applies. The hook's own tools are left out if the client
    does not run them.
    """
    hook_options = preparation.options
    names = {tool.name for tool in options.tools}
    added = [tool for tool in preparation.tools if tool.name not in names]
    bounds = [
        bound for bound in (options.reply_tokens, hook_options.reply_tokens) if bound is not None
    ]
    unset = [name for name in _SET_BY_HOOK if getattr(options, name) in (None, ())]
    of_hook: dict[str, Any] = {name: getattr(hook_options, name) for name in unset}
    return evolve(
        options,
        **of_hook,
        instructions=_joined(options.instructions, preparation.instructions),
        tools=(*options.tools, *added) if options.client_tools else options.tools,
        reply_tokens=min(bounds, default=None),
        passages=_numbered(preparation.passages, _sources_so_far(conversation)),
    )


def _sources_so_far(conversation: Conversation) -> Sequence[SourcePart]:
    """The sources of the reply that the open turn continues."""
    turn = conversation.open_turn
    parts = conversation.messages[-1].parts if turn is not None and turn.continues else ()
    return [part for part in parts if isinstance(part, SourcePart)]


def _numbered(passages: Sequence[Passage], sources: Sequence[SourcePart]) -> tuple[Passage, ...]:
    """The passages, numbered after ``sources``; one that is a source already has its number."""
    numbers = {(source.title, source.url): number for number, source in enumerate(sources, 1)}
    after = len(sources)
    numbered = []
    for passage in passages:
        number = numbers.get((passage.title, passage.url))
        if number is None:
            number = after = after + 1
        numbered.append(evolve(passage, number=number))
    return tuple(numbered)


def _joined(*texts: str | None) -> str | None:
    return "\n\n".join(filter(None, texts)) or None


def has_room(
    conversation: Conversation, system: str, budget: Budget, options: ReplyOptions
) -> bool:
    """Whether the prompt has room for the messages that may not be left out of it.

    These are the newest exchange, or all messages if the caller does not allow any to be left out.
    """
    kept = conversation
    if options.may_truncate:
        kept = forgotten_before(conversation, newest_exchange_from(conversation))
    return has_room_for_all(kept, system, budget, options)


def has_room_for_all(
    conversation: Conversation, system: str, budget: Budget, options: ReplyOptions
) -> bool:
    """Whether the prompt has room for the whole working memory."""
    with suppress(InvalidInput, NothingToContinue):
        return fitted(conversation, system, budget, options=options) is conversation
    return False


def with_passages_that_fit(
    conversation: Conversation, system: str, budget: Budget, options: ReplyOptions
) -> ReplyOptions:
    """The options without the last passages, if the prompt has no room for all of them."""
    passages = options.passages
    if not passages or has_room(conversation, system, budget, options):
        return options

    def has_room_for(left_out: int) -> bool:
        fewer = evolve(options, passages=passages[: len(passages) - left_out])
        return has_room(conversation, system, budget, fewer)

    left_out = bisect_left(range(len(passages)), x=True, lo=1, key=has_room_for)
    return evolve(options, passages=passages[: len(passages) - left_out])


def opening_pieces(
    conversation: Conversation, preparation: Preparation, passages: Sequence[Passage]
) -> Sequence[Piece]:
    """What precedes the reply: the sources that are new, and the hook's state if it changes."""
    return tuple(_opening_pieces(conversation, preparation, passages))


def _opening_pieces(
    conversation: Conversation, preparation: Preparation, passages: Sequence[Passage]
) -> Iterator[Piece]:
    count = len(_sources_so_far(conversation))
    for passage in passages:
        if passage.number > count:
            yield SourcePiece(_source(passage))
    if preparation.changes_state and preparation.state != conversation.hook_state:
        yield StatePiece(preparation.state)


def _source(passage: Passage) -> SourcePart:
    return SourcePart(
        id=f"s{passage.number}",
        title=passage.title,
        url=passage.url,
        excerpt=passage.text[:MAX_EXCERPT_CHARACTERS] or None,
    )
