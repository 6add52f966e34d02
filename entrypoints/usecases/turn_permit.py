"""What one turn uses: counted before it is opened, and settled when its reply has ended."""

from contextlib import suppress
from datetime import timedelta

from attrs import define, field

from domain.model.identifiers import SessionId, TurnId
from domain.model.rate_limits import SLOT_RENEWAL, Charge, Payer, Quota, TurnSlot
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.errors import PortError
from ports.rate_limiter import RateLimiter


@define(kw_only=True)
class TurnPermit:
    """Counts one turn against the limits of its payer, from its request to the end of its reply.

    A turn that cannot be counted at its end is not an error: its slot expires.

    Attributes:
        stored_bytes: bytes of text that the request adds to what is stored.
        tokens: the tokens of the model that the reply has used.
    """

    limiter: RateLimiter
    keys: ClientKeys
    clock: Clock
    payer: Payer
    turn_id: TurnId
    stored_bytes: int = 0
    tokens: int = 0
    _refundable: dict[Quota, int] = field(factory=dict, init=False)
    _slot: TurnSlot | None = field(default=None, init=False)
    _has_slot: bool = field(default=True, init=False)
    _held_at: timedelta = field(factory=timedelta, init=False)

    async def obtain(
        self,
        session_id: SessionId,
        *,
        is_new: bool = False,
        is_stored: bool = True,
        copied_bytes: int = 0,
    ) -> None:
        """Count the turn before it is opened in this conversation.

        A request that first tries to continue a conversation and then creates one calls this twice.
        The second call counts only what the first one did not.

        Args:
            session_id: the conversation of the turn.
            is_new: whether the conversation is created for it.
            is_stored: False for an ephemeral reply.
            copied_bytes: bytes of the messages that are copied into a new conversation.

        Raises:
            TooManyRequests, StoreUnavailable: the turn must not be opened.
        """
        conversation = self.keys.pseudonym(f"conversation {session_id}")
        slot = TurnSlot(payer=self.payer, conversation=conversation, holder=self.turn_id)
        refundable = {Quota.NEW: int(is_new), Quota.STORED_BYTES: copied_bytes}
        messages = 0
        if self._slot is None:
            # One token is counted, so that the request is refused if none is left.
            refundable[Quota.TOKENS] = messages = 1
            refundable[Quota.STORED_BYTES] += self.stored_bytes
        charge = Charge(
            payer=self.payer,
            amounts={Quota.MESSAGES: messages, **refundable},
            conversation=conversation if is_stored else None,
        )
        if self._slot not in (None, slot):
            await self._settle({})
        self._has_slot = await self.limiter.consume(charge, slot)
        self._slot, self._held_at = slot, self.clock.monotonic()
        for quota, amount in refundable.items():
            self._refundable[quota] = self._refundable.get(quota, 0) + amount

    async def begin(self) -> None:
        """Called when the turn is open: takes the slot over if another turn had it."""
        if not self._has_slot:
            await self._hold()

    async def keep(self) -> None:
        """Called at every heartbeat: renews the slot from time to time."""
        if self.clock.monotonic() - self._held_at >= SLOT_RENEWAL:
            await self._hold()

    async def cancel(self) -> None:
        """Called if no turn was opened: gives everything back, but the message stays counted."""
        await self._settle({quota: -amount for quota, amount in self._refundable.items()})

    async def close(self, *, reply_bytes: int = 0) -> None:
        """Called when the reply has ended: count it, and release the slot."""
        counted = self._refundable.get(Quota.TOKENS, 0)
        amounts = {Quota.TOKENS: self.tokens - counted, Quota.STORED_BYTES: reply_bytes}
        await self._settle(amounts)

    async def _hold(self) -> None:
        if self._slot is not None:
            with suppress(PortError):
                await self.limiter.hold(self._slot)
                self._has_slot = True
        self._held_at = self.clock.monotonic()

    async def _settle(self, amounts: dict[Quota, int]) -> None:
        if self._slot is None:
            return
        charge = Charge(payer=self.payer, amounts=amounts)
        with suppress(PortError):
            await self.limiter.settle(charge, self._slot)
