"""Opens a turn with items: in a conversation, in a branch of it, or in a new conversation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Final

from attrs import evolve, frozen

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation, new_conversation
from domain.model.errors import (
    ConversationExists,
    ConversationNotFound,
    IdempotencyKeyReused,
    InvalidInput,
    MessageNotFound,
    TurnNotFound,
)
from domain.model.identifiers import ConversationRef, Owner, SessionId
from domain.model.message import Part, Role, UnknownPart, counted_bytes
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.model.rate_limits import Payer
from domain.model.turn import IdempotencyKey
from domain.service.idempotency import has_replied_since
from domain.service.item_editing import (
    NewItem,
    branch_at_turn,
    open_turn_with_items,
    repeats_failed_items,
)
from domain.service.prompt_building import require_option_room, require_room
from domain.service.prompt_choice import with_prompt
from domain.service.turn_lifecycle import NewTurn, opened_by
from entrypoints.usecases.dead_turns import SettleTurn
from entrypoints.usecases.find_chain import SAME_BEGINNING, FindChain
from entrypoints.usecases.offered_tools import OfferedTools
from entrypoints.usecases.open_turn import OpenTurn, Started, StartTurn
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.turn_permit import TurnPermit
from ports.client_keys import ClientKeys
from ports.identifier_source import IdentifierSource


@frozen(kw_only=True)
class InputItem:
    """An item that has no id yet.

    Attributes:
        parts: exactly one part for the assistant, or the call of a tool that we have run and its
            result; all parts of the message for any other role.
    """

    role: Role
    parts: tuple[Part, ...]


@frozen(kw_only=True)
class ResponseRequest:
    """A request for a reply.

    Attributes:
        inputs: the items to reply to; they follow the stored messages.
        payer: whose limits count the request.
        session_id: the conversation to continue; None creates one.
        create_as: the id of the conversation to create; None: a new id.
        chain: the client's name for requests that each hold the whole history; None if it has none.
            See ``FindChain``.
        after_turn: number of the turn to continue; None for the newest.
        note: stored with the last message before the reply.
        idempotency_key: the Idempotency-Key as the client sent it; None if it sent none.
        idempotency: the same key as digests; None if the client sent none.
    """

    inputs: Sequence[InputItem]
    payer: Payer
    session_id: SessionId | None = None
    create_as: SessionId | None = None
    chain: str | None = None
    after_turn: int | None = None
    options: ReplyOptions = DEFAULT_OPTIONS
    note: UnknownPart | None = None
    idempotency_key: str | None = None
    idempotency: IdempotencyKey | None = None

    @property
    def stored_bytes(self) -> int:
        """Bytes that it adds to what is stored: its items and its note, with their overheads."""
        note = () if self.note is None else (self.note,)
        return stored_bytes_of(self.inputs) + counted_bytes(note)


_TOO_LONG: Final = frozenset({"message_too_long", "tool_result_too_long"})


@contextmanager
def too_long_for_model() -> Iterator[None]:
    """Report a prompt for which the model has no room as clients of OpenAI's API expect it.

    Raises:
        InvalidInput: ``context_length_exceeded``.
    """
    try:
        yield
    except InvalidInput as error:
        if error.problem not in _TOO_LONG:
            raise
        raise InvalidInput("context_length_exceeded", str(error), field="items") from None


class _NotNewestTurn(Exception):
    """The turn to continue is no longer the newest."""


@frozen(kw_only=True)
class BaseConversation:
    """Returns the conversation that a response starts from."""

    settle_turn: SettleTurn
    assistant: Assistant
    identifiers: IdentifierSource

    async def __call__(
        self, owner: Owner, request: ResponseRequest, session_id: SessionId, at: datetime
    ) -> Conversation:
        """A conversation that is not stored yet: empty, or a copy up to the turn to continue.

        Raises:
            TurnNotFound: the turn to continue does not exist.
            TurnInProgress: its reply is still being written.
            PortError: the store failed.
        """
        if request.session_id is None or request.after_turn is None:
            locale = self.assistant.default_locale
            return new_conversation(session_id, locale=locale, at=at)
        try:
            return branch_at_turn(
                await self.settle_turn.load(ConversationRef(owner, request.session_id)),
                request.after_turn,
                session_id=session_id,
                turn_id=self.identifiers.turn_id(),
                at=at,
            )
        except (ConversationNotFound, MessageNotFound):
            raise TurnNotFound from None


@frozen(kw_only=True)
class PromptRoom:
    """Rejects requests for which the model's context window has no room."""

    assistant: Assistant
    budget: PromptBudget
    offered_tools: OfferedTools

    async def prompt_options(self, request: ResponseRequest) -> ReplyOptions:
        """The options of the request with all tools that its prompt will have.

        The budget is brought up to date first.

        Raises:
            InvalidInput: ``context_length_exceeded`` if those of the request take more than their
                share.
        """
        await self.budget.refresh()
        require_option_room(request.options, self.budget.current)
        return (await self.offered_tools(request.options)).in_options(request.options)

    def check(self, conversation: Conversation, options: ReplyOptions) -> None:
        """Raise unless the prompt has room for the conversation, or may leave messages out.

        Raises:
            InvalidInput: ``context_length_exceeded``.
            OlderMessagesNeeded: not all messages are loaded.
        """
        if not options.may_truncate:
            chosen = with_prompt(conversation, self.assistant.prompts)
            system = self.assistant.system_prompt_for(chosen)
            require_room(conversation, system, self.budget.current, options=options)


@frozen(kw_only=True)
class _Attempt:
    """One request with the ids of everything it may store, and the options of its prompt."""

    owner: Owner
    request: ResponseRequest
    options: ReplyOptions
    new_turn: NewTurn
    items: Sequence[NewItem]
    permit: TurnPermit
    room: PromptRoom

    def with_turn(self, conversation: Conversation) -> Conversation:
        """The conversation with the items and the open turn."""
        opened = open_turn_with_items(conversation, self.new_turn, self.items, self.request.note)
        self.room.check(opened, self.options)
        return opened


@frozen(kw_only=True)
class CreateResponse:
    """Opens a turn with items; the reply is written in the background."""

    start_turn: StartTurn
    open_turn: OpenTurn
    base_conversation: BaseConversation
    room: PromptRoom
    find_chain: FindChain
    keys: ClientKeys
    identifiers: IdentifierSource

    async def __call__(self, owner: Owner, request: ResponseRequest) -> Started:
        """The turn that replies; the items are stored.

        Continuing a turn that is not the newest creates a new conversation with all messages up to
        the end of that turn. A request with a ``chain`` adds only those of its items that the
        conversation of the chain does not have yet.

        Raises:
            ConversationNotFound, TurnNotFound: what the request continues does not exist.
            TurnInProgress: the turn to continue is still open.
            InvalidInput, NothingToAnswer: the items do not fit the conversation, or the prompt
                does not fit the model's context window.
            IdempotencyKeyReused: the same key with another request.
            RequestAlreadyAnswered: an older turn had the same key.
            ConversationGone: the new conversation was forgotten while it was being created.
            ConversationFull: the conversation has reached its size limit.
            TooManyRequests, TooManyTurns, ShuttingDown: nothing was changed.
            PortError: the store failed.
        """
        options = await self.room.prompt_options(request)
        # The conversation of the chain may be created or forgotten by another request meanwhile.
        for _ in range(SAME_BEGINNING if request.chain is not None else 0):
            with suppress(ConversationNotFound, TurnNotFound, ConversationExists):
                return await self._start(owner, await self._in_chain(owner, request), options)
        return await self._start(owner, request, options)

    async def _in_chain(self, owner: Owner, request: ResponseRequest) -> ResponseRequest:
        if request.chain is None:
            return request
        position = await self.find_chain(owner, request.chain, request.inputs, request.idempotency)
        if position is None:
            return request
        if not position.exists:
            return evolve(request, create_as=position.session_id)
        return evolve(
            request,
            session_id=position.session_id,
            after_turn=position.after_turn,
            inputs=position.unanswered(request.inputs),
        )

    async def _start(
        self, owner: Owner, request: ResponseRequest, options: ReplyOptions
    ) -> Started:
        new_turn = self.start_turn.new_turn(request.idempotency)
        items = with_ids(request.inputs, self.identifiers)
        permit = self.start_turn.permit(request.payer, new_turn.turn_id, request.stored_bytes)
        attempt = _Attempt(
            owner=owner,
            request=request,
            options=options,
            new_turn=new_turn,
            items=items,
            permit=permit,
            room=self.room,
        )
        with too_long_for_model():
            return await self.start_turn(
                owner, new_turn, partial(self._open, attempt), permit, request.options
            )

    async def _open(self, attempt: _Attempt) -> Conversation:
        request = attempt.request
        if request.session_id is not None:
            try:
                return await self._continue(
                    ConversationRef(attempt.owner, request.session_id), attempt
                )
            except _NotNewestTurn:
                pass
            except ConversationNotFound:
                if request.after_turn is None:
                    raise
                raise TurnNotFound from None
        session_id = self._new_session_id(attempt)
        base = await self.base_conversation(attempt.owner, request, session_id, attempt.new_turn.at)
        return await self._create(base, attempt)

    def _new_session_id(self, attempt: _Attempt) -> SessionId:
        if attempt.request.session_id is None and attempt.request.create_as is not None:
            return attempt.request.create_as
        if attempt.request.idempotency_key is None:
            return self.identifiers.session_id()
        return self.keys.session_for_request(attempt.owner, attempt.request.idempotency_key)

    async def _continue(self, ref: ConversationRef, attempt: _Attempt) -> Conversation:
        await attempt.permit.obtain(ref.session_id)

        def change(conversation: Conversation) -> Conversation:
            after_turn = attempt.request.after_turn
            if after_turn is not None and not opened_by(conversation, attempt.new_turn):
                _require_newest(conversation, after_turn)
                if attempt.request.chain is None:
                    _require_stored(conversation, after_turn)
            return attempt.with_turn(conversation)

        return await self.open_turn(ref, attempt.new_turn, change, options=attempt.request.options)

    async def _create(self, base: Conversation, attempt: _Attempt) -> Conversation:
        conversation = attempt.with_turn(base)
        await attempt.permit.obtain(base.id, is_new=True, copied_bytes=base.counted_bytes)
        try:
            return await self._store(conversation, attempt)
        except ConversationExists:
            if base.id == attempt.request.create_as:
                raise
            # The id is derived from the Idempotency-Key: this is a repeated request.
            with suppress(ConversationNotFound):
                return await self._retry_first(base, attempt)
        # The conversation with this id had expired, and was deleted only now.
        return await self._store(conversation, attempt)

    async def _store(self, conversation: Conversation, attempt: _Attempt) -> Conversation:
        return await self.open_turn.create(
            attempt.owner, conversation, attempt.new_turn, attempt.request.options
        )

    async def _retry_first(self, base: Conversation, attempt: _Attempt) -> Conversation:
        base_number = base.turn.number if base.turn else 0

        def change(conversation: Conversation) -> Conversation:
            has_gone_on = has_replied_since(conversation, base_number)
            if has_gone_on or not repeats_failed_items(conversation, attempt.items):
                # The first reply can no longer be replayed.
                raise IdempotencyKeyReused
            return attempt.with_turn(conversation)

        return await self.open_turn(
            ConversationRef(attempt.owner, base.id),
            attempt.new_turn,
            change,
            options=attempt.request.options,
        )


def _require_newest(conversation: Conversation, number: int) -> None:
    turn = conversation.turn
    if turn is None or turn.number != number:
        raise _NotNewestTurn


def _require_stored(conversation: Conversation, number: int) -> None:
    """Raise if the turn was deleted."""
    is_open = conversation.open_turn is not None
    if not is_open and all(message.turn != number for message in conversation.messages):
        raise TurnNotFound


def with_ids(inputs: Sequence[InputItem], identifiers: IdentifierSource) -> tuple[NewItem, ...]:
    """The items with the ids that new messages will have."""
    return tuple(
        NewItem(id=identifiers.message_id(), role=item.role, parts=item.parts) for item in inputs
    )


def stored_bytes_of(inputs: Sequence[InputItem]) -> int:
    """Bytes that the items add to what is stored, with the overheads of their parts."""
    return sum(counted_bytes(item.parts) for item in inputs)
