"""The budget of prompts, as far as this process knows the model by now."""

from attrs import evolve

from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.message import Usage
from domain.model.prompt import Prompt
from domain.service.token_learning import learned, prompt_size, recalled


class PromptBudget:
    """The budget for the next prompt. One instance per process.

    Attributes:
        current: the budget now; it changes as more becomes known about the model.
    """

    def __init__(self, current: Budget) -> None:
        """Start with what the settings say."""
        self.current = current

    def learn(self, prompt: Prompt, usage: Usage | None) -> None:
        """Count tokens better from now on, if the model's server reported those of ``prompt``."""
        if usage is None or usage.input_tokens is None:
            return
        size = prompt_size(prompt)
        if size is not None:
            rates = learned(self.current.rates, size, usage.input_tokens)
            self.current = evolve(self.current, rates=rates)

    def recall(self, conversation: Conversation, system: str) -> None:
        """Count tokens better from now on, if the replies of ``conversation`` carry reports."""
        rates = recalled(self.current.rates, conversation, system)
        self.current = evolve(self.current, rates=rates)
