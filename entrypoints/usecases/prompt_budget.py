"""The budget of prompts, as far as this process knows the model by now."""

from domain.model.budget import Budget


class PromptBudget:
    """The budget for the next prompt. One instance per process.

    Attributes:
        current: the budget now; it changes as more becomes known about the model.
    """

    def __init__(self, current: Budget) -> None:
        """Start with what the settings say."""
        self.current = current
