"""Lets the model write a summary, and counts the tokens that it takes."""

from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Final

from attrs import define, frozen

from domain.model.limits import MAX_REPLY_BYTES
from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, TextPiece, piece_bytes
from domain.model.prompt import Prompt
from domain.model.rate_limits import Charge, Payer, Quota
from domain.model.token_rates import TokenRates
from domain.service.prompt_building import used_tokens
from domain.service.summarizing import Fold, summary_of
from entrypoints.usecases.prompt_budget import PromptBudget
from ports.clock import Clock
from ports.errors import PortError
from ports.language_model import ContentFiltered, ContextExceeded, LanguageModel, ModelTimedOut
from ports.rate_limiter import RateLimiter

_WRITING_LIMIT: Final = timedelta(minutes=4)
"""How long the model may write one summary; less than ``CLAIM_LIFETIME``."""


class NoSummary(Exception):
    """The model has written no text."""

    code: Final = "summary_empty"


@define(kw_only=True)
class _Reply:
    """What the model has written so far, and the tokens used for it."""

    text: str = ""
    size: int = 0
    finished: ModelFinished | None = None

    @property
    def reason(self) -> FinishReason:
        return self.finished.reason if self.finished else FinishReason.LENGTH

    @property
    def usage(self) -> Usage:
        return (self.finished.usage if self.finished else None) or Usage()

    def tokens(self, prompt: Prompt, rates: TokenRates) -> int:
        """The tokens used; a count that the model has not reported is estimated."""
        if not self.size and self.finished is None:
            # A model that failed before its first piece has used nothing.
            return 0
        return used_tokens(prompt, self.size, self.usage, rates)


@frozen(kw_only=True)
class Summary:
    """A summary that the model has written, and the tokens that it reported."""

    text: str
    usage: Usage


@frozen(kw_only=True)
class WriteSummary:
    """Lets the model write a summary, and counts its tokens against the limits of a payer."""

    model: LanguageModel
    budget: PromptBudget
    limiter: RateLimiter
    clock: Clock

    async def __call__(self, fold: Fold, payer: Payer) -> Summary:
        """The summary for which ``fold`` asks.

        Raises:
            TooManyRequests: the payer has no tokens left; the model was not asked.
            NoSummary: the model has written no text.
            ModelError, StoreUnavailable: the model or the store failed.
        """
        # One token is counted first: this fails if none is left.
        await self.limiter.consume(Charge(payer=payer, amounts={Quota.TOKENS: 1}))
        reply, rates = _Reply(), self.budget.current.rates
        try:
            await self._read(fold.prompt, reply)
        except ContextExceeded as refusal:
            # The next attempt will be shorter, if the refusal says how long it may be.
            await self.budget.after_refusal(fold.prompt, refusal)
            raise
        finally:
            tokens = reply.tokens(fold.prompt, rates)
            with suppress(PortError):
                await self.limiter.settle(Charge(payer=payer, amounts={Quota.TOKENS: tokens - 1}))
        if reply.reason is FinishReason.CONTENT_FILTER:
            raise ContentFiltered
        text = summary_of(reply.text, reply.reason, fold, rates)
        if not text:
            raise NoSummary
        return Summary(text=text, usage=reply.usage)

    async def _read(self, prompt: Prompt, reply: _Reply) -> None:
        deadline = self.clock.monotonic() + _WRITING_LIMIT
        async with aclosing(self.model.reply(prompt)) as pieces:
            async for piece in pieces:
                if isinstance(piece, ModelFinished):
                    reply.finished = piece
                    self.budget.learn(prompt, piece.usage)
                    return
                reply.size += piece_bytes(piece)
                if isinstance(piece, TextPiece):
                    reply.text += piece.text
                if reply.size > MAX_REPLY_BYTES:
                    return
                if self.clock.monotonic() >= deadline:
                    raise ModelTimedOut
