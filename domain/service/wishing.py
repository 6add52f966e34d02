"""A prompt that heeds what the caller wishes for this reply."""

from attrs import evolve

from domain.model.conversation import Conversation
from domain.model.prompt import Prompt
from domain.model.wishes import Wishes
from domain.service.prompt_building import Budget, build_prompt, estimated_tokens

_LEAST_TOKENS = 256


def wished_prompt(
    conversation: Conversation, system: str, budget: Budget, wishes: Wishes
) -> Prompt:
    """The prompt; instructions come after the assistant's own, tools take from its room."""
    instructed = "\n\n".join(filter(None, (system, wishes.instructions)))
    prompt = build_prompt(conversation, instructed, _narrowed(budget, wishes))
    return evolve(prompt, wishes=wishes)


def _narrowed(budget: Budget, wishes: Wishes) -> Budget:
    reply_tokens = min(budget.reply_tokens, wishes.reply_tokens or budget.reply_tokens)
    left = budget.tokens - _cost(wishes)
    return Budget(tokens=max(left, _LEAST_TOKENS, reply_tokens + 1), reply_tokens=reply_tokens)


def _cost(wishes: Wishes) -> int:
    told = [wishes.format or ""]
    told += [f"{tool.name}{tool.description}{tool.parameters}" for tool in wishes.tools]
    return sum(estimated_tokens(text) for text in told if text)
