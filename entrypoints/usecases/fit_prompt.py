"""Keeps working memory within what the prompt has room for."""

from contextlib import suppress

from attrs import evolve, frozen

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput, NothingToContinue
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.service.forgetting import fitted
from domain.service.prompt_choice import with_prompt
from domain.service.user_images import ImagePolicy, without_images
from entrypoints.usecases.prompt_budget import PromptBudget


@frozen(kw_only=True)
class FitPrompt:
    """Decides what the model gets when a turn is opened: which prompt, and which messages."""

    assistant: Assistant
    budget: PromptBudget
    images: ImagePolicy

    def __call__(
        self, conversation: Conversation, options: ReplyOptions = DEFAULT_OPTIONS
    ) -> Conversation:
        """The conversation without the messages in its working memory that do not fit.

        If its first turn was opened, its system prompt is chosen before that.

        Raises:
            InvalidInput: ``message_too_long`` or ``tool_result_too_long``; see ``fitted``.
            NothingToContinue: the reply to continue has no room to become longer.
            OlderMessagesNeeded: messages that the prompt needs are not loaded.
        """
        conversation = with_prompt(conversation, self.assistant.prompts)
        system = self.assistant.system_prompt_for(conversation)
        visible = self.visible(conversation)
        fit: Conversation | None = None
        with suppress(InvalidInput, NothingToContinue):
            fit = fitted(visible, system, self.budget.current, options=options)
        if fit is not visible:
            # Before forgetting or refusing, learn from the reports in the conversation: they may
            # show that the estimate is too high.
            self.budget.recall(visible, system)
            fit = fitted(visible, system, self.budget.current, options=options)
        return evolve(conversation, working_memory_from=fit.working_memory_from)

    def visible(self, conversation: Conversation) -> Conversation:
        """The conversation as the model can see it: without images, if it takes none."""
        takes_images = self.images.model_takes_images
        return conversation if takes_images else without_images(conversation)
