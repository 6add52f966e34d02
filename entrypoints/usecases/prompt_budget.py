"""The budget of prompts, by what this process knows about the model so far."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from attrs import evolve

from domain.model.budget import MIN_PROMPT_TOKENS, Budget, BudgetBounds
from domain.model.conversation import Conversation
from domain.model.message import Usage
from domain.model.prompt import Prompt
from domain.service.prompt_building import prompt_tokens
from domain.service.token_learning import learned, prompt_size, recalled
from ports.clock import Clock
from ports.context_window import UNREACHABLE, ContextWindow, StatedWindow
from ports.findings import Level
from ports.language_model import ContextExceeded
from ports.telemetry import Telemetry

_PATIENCE: Final = timedelta(seconds=2)
"""How long a turn waits for the window that the model's server states."""

_SOON: Final = timedelta(seconds=10)
_LATER: Final = timedelta(hours=1)
"""After how long the server is asked again: if its answer was not final, and if it was."""


class PromptBudget:
    """The budget for the next prompt. One instance per process.

    The context window is the one that the operator has set, else the one that the model's server
    states, else ``DEFAULT_WINDOW``. The server is asked when a turn needs the answer, and again
    from time to time, in the background.

    Attributes:
        current: the budget now; it changes as more becomes known about the model.
    """

    def __init__(
        self,
        bounds: BudgetBounds,
        *,
        clock: Clock,
        telemetry: Telemetry,
        window: ContextWindow | None = None,
    ) -> None:
        """Start with what the operator has set; ``window`` is None if there is no server to ask."""
        self._bounds = bounds
        self._clock = clock
        self._telemetry = telemetry
        self._window = window
        self._stated: StatedWindow | None = None
        self._read_at = timedelta.min
        self._asking: asyncio.Task[None] | None = None
        self._is_slow = False
        self._refused: int | None = None
        self.current = bounds.budget(self._tokens)

    async def refresh(self) -> None:
        """Bring ``current`` up to date before a turn opens.

        Waits only if the window is not known yet, and then a moment at most; not again if an
        earlier turn has waited in vain. Raises nothing.
        """
        self._ask_if_due()
        if self._bounds.window is None and not self._is_known and not self._is_slow:
            await self._answer()

    def learn(self, prompt: Prompt, usage: Usage | None) -> None:
        """Correct the token rates, if the model's server reported the tokens of ``prompt``."""
        if usage is None or usage.input_tokens is None:
            return
        size = prompt_size(prompt)
        if size is not None:
            rates = learned(self.current.rates, size, usage.input_tokens)
            self.current = evolve(self.current, rates=rates)

    def recall(self, conversation: Conversation, system: str) -> None:
        """Correct the token rates by what was reported about the replies of ``conversation``."""
        rates = recalled(self.current.rates, conversation, system)
        self.current = evolve(self.current, rates=rates)

    async def after_refusal(self, prompt: Prompt, refusal: ContextExceeded) -> Budget:
        """The budget for another attempt, after the model refused ``prompt`` as too long.

        The numbers in the refusal apply from now on. If they do not explain why the prompt was too
        long, the next attempt gets half of the tokens that this one had.
        """
        if refusal.window is None:
            self._read_at = timedelta.min
            self._ask_if_due()
            await self._answer()
        self._narrow(refusal.window, stated=refusal.window)
        self.learn(prompt, Usage(input_tokens=refusal.prompt_tokens))
        size, tokens = prompt_tokens(prompt, self.current.rates), self.current.tokens
        if refusal.prompt_tokens is not None and refusal.prompt_tokens > size:
            tokens = tokens * size // refusal.prompt_tokens
        if size + prompt.reply_tokens <= tokens:
            tokens = (size + prompt.reply_tokens) // 2
            if refusal.window is None and (self._stated is None or self._stated.tokens is None):
                self._narrow(max((size + prompt.reply_tokens) * 9 // 10, self._nominal // 2))
        tokens = max(tokens, MIN_PROMPT_TOKENS)
        reply_tokens = min(self.current.reply_tokens, tokens // 2)
        self._telemetry.emit(
            "model.prompt-refused",
            window=refusal.window,
            prompt_tokens=refusal.prompt_tokens,
            budget=tokens,
        )
        return evolve(self.current, tokens=tokens, reply_tokens=reply_tokens)

    @asynccontextmanager
    async def asking(self, *, at_once: bool) -> AsyncIterator[None]:
        """The server is asked only while this is open; ``at_once``: also before the first turn."""
        if at_once:
            self._ask_if_due()
        try:
            yield
        finally:
            self._window = None
            if self._asking is not None:
                self._asking.cancel()
                await asyncio.wait([self._asking])

    @property
    def _is_known(self) -> bool:
        return self._stated is not None and self._stated.is_final

    @property
    def _nominal(self) -> int:
        """The context window, as the operator or else the model's server states it."""
        stated = None if self._stated is None else self._stated.tokens
        return self._bounds.window_or(stated)

    @property
    def _tokens(self) -> int:
        """The context window, or less if the model's server refused a prompt for it."""
        return min(self._nominal, self._refused or self._nominal)

    def _narrow(self, window: int | None, stated: int | None = None) -> None:
        """From now on, make prompts for this window, if it is smaller than the one so far."""
        if window is not None and window < self._tokens:
            self._refused = window
            self._update(stated)

    async def _answer(self) -> None:
        """Wait a moment for the answer of the server that is being asked."""
        if self._asking is None:
            return
        pause = asyncio.create_task(self._clock.sleep(_PATIENCE))
        try:
            await asyncio.wait({self._asking, pause}, return_when=asyncio.FIRST_COMPLETED)
            self._is_slow = self._asking is not None
        finally:
            pause.cancel()

    def _ask_if_due(self) -> None:
        if self._window is None or self._asking is not None:
            return
        wait = _LATER if self._is_known else _SOON
        if self._read_at > timedelta.min and self._clock.monotonic() - self._read_at < wait:
            return
        self._asking = asyncio.create_task(self._ask(self._window))

    async def _ask(self, window: ContextWindow) -> None:
        try:
            stated = await window.read()
        finally:
            self._asking, self._read_at = None, self._clock.monotonic()
        self._take_over(stated)

    def _take_over(self, stated: StatedWindow) -> None:
        before, self._stated = self._stated, stated
        self._is_slow = self._is_slow and stated == UNREACHABLE
        if stated.tokens is None and before is not None and before.tokens is not None:
            # A server that is restarting does not change what is known about its model.
            self._stated = evolve(stated, tokens=before.tokens)
        if before is None or before.tokens != self._stated.tokens:
            # What another window refused says nothing about this one.
            self._refused = None
            self._update(self._stated.tokens)

    def _update(self, stated: int | None) -> None:
        """Bring the budget up to date, and log the window: a warning if the server has less."""
        self.current = self._bounds.budget(self._tokens, self.current.rates)
        is_too_large = stated is not None and self._nominal > stated
        self._telemetry.emit(
            "model.window",
            finding=(Level.WARNING if is_too_large else Level.GOOD).value,
            tokens=self._tokens,
            stated=stated,
            budget=self.current.tokens,
        )
