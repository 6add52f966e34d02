"""Asking for a reply to a list of things said: in a conversation, after one of its turns, anew."""

from collections.abc import Sequence
from functools import partial

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import (
    ConversationExists,
    ConversationNotFound,
    IdempotencyKeyReused,
    MessageNotFound,
    TurnNotFound,
)
from domain.model.identifiers import ConversationRef, Owner, SessionId
from domain.service.item_editing import (
    NewItem,
    branch_at_turn,
    open_turn_with_items,
    repeats_failed_items,
)
from domain.service.turn_lifecycle import NewTurn, has_replied_since, new_conversation, turn_for_key
from entrypoints.usecases.edit_items import ResponseRequest, size_of, size_of_all, with_ids
from entrypoints.usecases.open_turn import OnBusy, OpenTurn, Started, StartTurn
from ports.assistant_profile import AssistantProfile
from ports.client_keys import ClientKeys
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import Quota, RateLimiter


class _NotNewestTurn(Exception):
    """The turn to be continued is not the newest any more."""


@frozen(kw_only=True)
class CreateResponse:
    """Opens a turn with what it is given; the reply is made apart from the request."""

    store: ConversationStateStore
    start_turn: StartTurn
    open_turn: OpenTurn
    profile: AssistantProfile
    keys: ClientKeys
    limiter: RateLimiter
    identifiers: IdentifierSource

    async def __call__(self, owner: Owner, new: ResponseRequest) -> Started:
        """The turn that replies, once what was put in is safely stored.

        After a turn that is not the newest any more the conversation parts ways: a new one begins
        with all that was said up to that turn.

        Raises:
            ConversationNotFound, TurnNotFound: absent.
            TurnInProgress: the turn to be continued is still open.
            InvalidInput, NothingToAnswer: what was put in does not fit what is there.
            IdempotencyKeyReused: the same key with another body.
            ConversationTooLarge: the conversation has reached its bound.
            TooManyRequests, TooManyTurns, ShuttingDown: nothing was changed.
            PortError: the store failed.
        """
        await self.limiter.consume(new.address, Quota.STORED, size_of(new.inputs))
        new_turn = self.start_turn.new_turn(new.idempotency)
        given = with_ids(new.inputs, self.identifiers)
        tried: list[SessionId] = []
        open_it = partial(self._opened, owner, new, new_turn, given, tried)
        conversation = await self.start_turn(
            owner, new_turn, open_it, address=new.address, options=new.options, tried=tried
        )
        if conversation.turn is None:
            raise AssertionError("what was put in has a turn")
        return Started(conversation=conversation, turn=conversation.turn)

    async def _opened(
        self,
        owner: Owner,
        new: ResponseRequest,
        new_turn: NewTurn,
        given: Sequence[NewItem],
        tried: list[SessionId],
    ) -> Conversation:
        if new.session_id is not None:
            tried.append(new.session_id)
            try:
                return await self._continued(
                    ConversationRef(owner, new.session_id), new, new_turn, given
                )
            except _NotNewestTurn:
                pass
            except ConversationNotFound:
                raise (ConversationNotFound if new.after_turn is None else TurnNotFound) from None
        base = await self._base(owner, new, new_turn)
        tried.append(base.id)
        return await self._begun(owner, new, new_turn, given, base)

    async def _base(self, owner: Owner, new: ResponseRequest, new_turn: NewTurn) -> Conversation:
        """What a new conversation begins with, not stored yet.

        Raises:
            TurnNotFound: there is no turn to begin after.
        """
        session_id = self._new_id(owner, new)
        if new.session_id is None:
            locale = self.profile.assistant().default_locale
            return new_conversation(session_id, locale=locale, at=new_turn.at)
        try:
            return branch_at_turn(
                await self.store.load(ConversationRef(owner, new.session_id)),
                new.after_turn or 0,
                session_id=session_id,
                turn_id=self.identifiers.turn_id(),
                at=new_turn.at,
            )
        except (ConversationNotFound, MessageNotFound):
            raise TurnNotFound from None

    def _new_id(self, owner: Owner, new: ResponseRequest) -> SessionId:
        if new.idempotency_key is None:
            return self.identifiers.session_id()
        return self.keys.session_for_request(owner, new.idempotency_key)

    async def _begun(
        self,
        owner: Owner,
        new: ResponseRequest,
        new_turn: NewTurn,
        given: Sequence[NewItem],
        base: Conversation,
    ) -> Conversation:
        conversation = open_turn_with_items(base, new_turn, given, new.note)
        await self.limiter.consume(new.address, Quota.STORED, size_of_all(base))
        await self.limiter.consume(new.address, Quota.NEW)
        try:
            await self.store.create(owner, conversation)
        except ConversationExists:
            # The id follows from the key: the same request was here before.
            return await self._retry_first(owner, new, new_turn, given, base)
        return conversation

    async def _retry_first(
        self,
        owner: Owner,
        new: ResponseRequest,
        new_turn: NewTurn,
        given: Sequence[NewItem],
        base: Conversation,
    ) -> Conversation:
        number = base.turn.number if base.turn else 0

        def change(known: Conversation) -> Conversation:
            if turn_for_key(known, new.idempotency):
                return known
            if has_replied_since(known, number) or not repeats_failed_items(known, given):
                # The conversation has gone on since: the first reply cannot be played again.
                raise IdempotencyKeyReused
            return open_turn_with_items(known, new_turn, given, new.note)

        return await self.open_turn(
            ConversationRef(owner, base.id), change, OnBusy.REJECT, new_turn.turn_id
        )

    async def _continued(
        self,
        ref: ConversationRef,
        new: ResponseRequest,
        new_turn: NewTurn,
        given: Sequence[NewItem],
    ) -> Conversation:
        def change(known: Conversation) -> Conversation:
            if turn_for_key(known, new.idempotency):
                return known
            if new.after_turn is not None and not _is_mine(known, new_turn):
                _check_newest(known, new.after_turn)
            return open_turn_with_items(known, new_turn, given, new.note)

        return await self.open_turn(ref, change, OnBusy.REJECT, new_turn.turn_id)


def _check_newest(known: Conversation, number: int) -> None:
    turn = known.turn
    if turn is None or turn.number != number:
        raise _NotNewestTurn
    if not turn.is_open and all(said.turn != number for said in known.messages):
        raise TurnNotFound


def _is_mine(known: Conversation, new_turn: NewTurn) -> bool:
    return known.turn is not None and known.turn.id == new_turn.turn_id
