"""What the operator's hook is asked before the model replies, and what it answers."""

from enum import Enum
from typing import Final

from attrs import field, frozen

from domain.model.identifiers import TurnId
from domain.model.message import Role
from domain.model.prompt import DEFAULT_OPTIONS, Passage, ReplyOptions, Tool


class TurnKind(Enum):
    """Why the model is about to be asked."""

    MESSAGE = "message"
    """The user sent a message, or edited one."""
    REGENERATE = "regenerate"
    """The user asked for another reply to the same message."""
    CONTINUE = "continue"
    """A reply that was cut is continued in the same message."""
    TOOL_RESULTS = "tool-results"
    """The client sent the results of tools that the reply called."""


@frozen(kw_only=True)
class Utterance:
    """What one message of the conversation says, as the hook gets it."""

    role: Role
    text: str = field(repr=False)


@frozen(kw_only=True)
class Question:
    """What a hook learns about the turn that it prepares.

    Attributes:
        turn_id: the same if the question is asked again.
        conversation: a keyed digest that stands for the conversation; nobody else can compute it.
        turn: number of the turn.
        locale: BCP 47 tag of the language in which the assistant addresses the user.
        message: the newest user message.
        images: how many images that message has; the hook does not get them.
        page_context: JSON text about the page the user is on; None if there is none.
        earlier: the newest messages before ``message``, oldest first; at most as many as the
            operator has set.
        summary: summary of the messages that the model no longer sees; None if there is none.
        state: the hook's state at the beginning of the turn, as JSON text; None if it has none.
    """

    turn_id: TurnId
    conversation: str
    turn: int
    kind: TurnKind
    locale: str
    message: str = field(repr=False)
    images: int = 0
    page_context: str | None = field(default=None, repr=False)
    earlier: tuple[Utterance, ...] = field(default=(), repr=False)
    summary: str | None = field(default=None, repr=False)
    state: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Preparation:
    """What a hook wants for one turn.

    Attributes:
        instructions: added after all other instructions, at the end of the system prompt.
        passages: given to the model as data, best first.
        reply: the whole reply; the model is then not asked.
        offered: the names of the tools of the assistant's file and its tool servers that the model
            may call in this turn; None: all.
        tools: further tools, which the client runs; not offered if the client runs none of the
            operator's tools.
        options: options of the reply; those that the caller has set take precedence. Only the
            numbers, ``stop``, ``effort``, ``verbosity``, ``tool_choice`` and
            ``parallel_tool_calls`` count.
        changes_state: whether ``state`` replaces the hook's state.
        state: the hook's state from now on, as JSON text; None: it has none.
    """

    instructions: str | None = field(default=None, repr=False)
    passages: tuple[Passage, ...] = ()
    reply: str | None = field(default=None, repr=False)
    offered: frozenset[str] | None = None
    tools: tuple[Tool, ...] = ()
    options: ReplyOptions = DEFAULT_OPTIONS
    changes_state: bool = False
    state: str | None = field(default=None, repr=False)

    @property
    def lengthens_prompt(self) -> bool:
        """Whether the prompt needs more room because of it."""
        return bool(self.instructions or self.passages or self.tools)


NOTHING_PREPARED: Final = Preparation()


@frozen(kw_only=True)
class HookPolicy:
    """Whether there is a hook, and how it is used.

    Attributes:
        enabled: False if no hook is configured; it is then never called.
        messages: how many messages before the newest user message the hook gets.
        is_required: whether a turn fails if the hook fails; otherwise it goes on without it.
    """

    enabled: bool = False
    messages: int = 0
    is_required: bool = True
