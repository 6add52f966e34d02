"""Asking for a reply to a list of things said: in a conversation, after one of its turns, anew."""

from collections.abc import Sequence

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import (
    ConversationExists,
    ConversationNotFound,
    IdempotencyKeyReused,
    MessageNotFound,
    TurnNotFound,
)
from domain.model.identifiers import Owner, SessionId
from domain.model.message import UnknownPart
from domain.model.turn import RequestKey
from domain.model.wishes import NO_WISHES, Wishes
from domain.service.adding import Given, put_in
from domain.service.leaving_out import up_to_turn
from domain.service.opening import opened
from domain.service.request_matching import turn_of_request
from domain.service.turn_taking import Opening
from entrypoints.usecases.given_input import Input, size_of, size_of_all, with_ids
from entrypoints.usecases.open_turn import OnBusy, OpenTurn
from entrypoints.usecases.start_turn import Started, StartTurn
from ports.assistant_profile import AssistantProfile
from ports.client_keys import ClientKeys
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import RateLimiter, Share


class _GoneOn(Exception):
    """The turn to be continued is not the newest any more."""


@frozen(kw_only=True)
class NewInput:
    """What is put in.

    Attributes:
        session_id: the conversation it belongs to; absent begins a new one.
        after_turn: number of the turn it follows; absent for the newest.
        note: kept beside it.
        address: what limits are counted by.
        idempotency_key: the caller's own; absent without one.
        request: the same key as digests, absent with it.
    """

    inputs: Sequence[Input]
    address: str
    session_id: SessionId | None = None
    after_turn: int | None = None
    wishes: Wishes = NO_WISHES
    note: UnknownPart | None = None
    idempotency_key: str | None = None
    request: RequestKey | None = None


@frozen(kw_only=True)
class PutIn:
    """Opens a turn with what it is given; the reply is made apart from the request."""

    store: ConversationStateStore
    start_turn: StartTurn
    open_turn: OpenTurn
    profile: AssistantProfile
    keys: ClientKeys
    limiter: RateLimiter
    identifiers: IdentifierSource

    async def __call__(self, owner: Owner, new: NewInput) -> Started:
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
        await self.limiter.spend(new.address, Share.STORED, size_of(new.inputs))
        opening = self.start_turn.opening(new.request)
        given = with_ids(new.inputs, self.identifiers)

        async def open_it() -> Conversation:
            return await self._opened(owner, new, opening, given)

        conversation = await self.start_turn(
            owner,
            opening,
            open_it,
            address=new.address,
            wishes=new.wishes,
            tried=self._nameable(owner, new),
        )
        if conversation.turn is None:
            raise AssertionError("what was put in has a turn")
        return Started(conversation=conversation, turn=conversation.turn)

    async def _opened(
        self, owner: Owner, new: NewInput, opening: Opening, given: Sequence[Given]
    ) -> Conversation:
        if new.session_id is None:
            return await self._anew(owner, new, opening, given)
        try:
            return await self._continued(owner, new.session_id, new, opening, given)
        except _GoneOn:
            branch = await self._branch(owner, new.session_id, new.after_turn or 0, opening)
            await self.limiter.spend(new.address, Share.STORED, size_of_all(branch))
            return await self._begun(owner, new, put_in(branch, opening, given, new.note))
        except ConversationNotFound:
            raise (ConversationNotFound if new.after_turn is None else TurnNotFound) from None

    async def _anew(
        self, owner: Owner, new: NewInput, opening: Opening, given: Sequence[Given]
    ) -> Conversation:
        locale = self.profile.assistant().default_locale
        empty = opened(self._new_id(owner, new), locale=locale, at=opening.at)
        try:
            return await self._begun(owner, new, put_in(empty, opening, given, new.note))
        except ConversationExists:
            # The id follows from the key: the same request was here before.
            known = await self.store.load(owner, empty.id)
            if turn_of_request(known, new.request) is None:
                raise IdempotencyKeyReused from None
            return known

    def _nameable(self, owner: Owner, new: NewInput) -> Sequence[SessionId]:
        """Where a turn may be opened that somebody can ask for; under a random id nobody can."""
        if new.session_id is not None:
            return [new.session_id]
        return [] if new.idempotency_key is None else [self._new_id(owner, new)]

    def _new_id(self, owner: Owner, new: NewInput) -> SessionId:
        if new.idempotency_key is None:
            return self.identifiers.session_id()
        return self.keys.session_for_request(owner, new.idempotency_key)

    async def _continued(
        self,
        owner: Owner,
        session_id: SessionId,
        new: NewInput,
        opening: Opening,
        given: Sequence[Given],
    ) -> Conversation:
        def change(known: Conversation) -> Conversation:
            if turn_of_request(known, new.request):
                return known
            if new.after_turn is not None and not _is_mine(known, opening):
                _check_newest(known, new.after_turn)
            return put_in(known, opening, given, new.note)

        return await self.open_turn(owner, session_id, change, OnBusy.REJECT, opening.turn_id)

    async def _branch(
        self, owner: Owner, session_id: SessionId, number: int, opening: Opening
    ) -> Conversation:
        """A conversation under a new id, not stored yet, that ends with turn ``number``.

        Raises:
            TurnNotFound: there is no such turn.
        """
        try:
            return up_to_turn(
                await self.store.load(owner, session_id),
                number,
                session_id=self.identifiers.session_id(),
                turn_id=self.identifiers.turn_id(),
                at=opening.at,
            )
        except (ConversationNotFound, MessageNotFound):
            raise TurnNotFound from None

    async def _begun(self, owner: Owner, new: NewInput, conversation: Conversation) -> Conversation:
        await self.limiter.spend(new.address, Share.NEW)
        await self.store.create(owner, conversation)
        return conversation


def _check_newest(known: Conversation, number: int) -> None:
    turn = known.turn
    if turn is None or turn.number != number:
        raise _GoneOn
    if not turn.is_open and all(said.turn != number for said in known.messages):
        raise TurnNotFound


def _is_mine(known: Conversation, opening: Opening) -> bool:
    return known.turn is not None and known.turn.id == opening.turn_id
