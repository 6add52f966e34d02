"""Everything put together: adapters opened in order, use cases wired by punq.

punq's default scope is transient, so every opened adapter is registered as an instance; it does not
check instances against protocols, so each is named with its port's type first and mypy tells.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

import punq

from adapters.assistant_profile.toml_file import load_assistant
from adapters.in_memory.rate_limiter import InMemoryRateLimiter
from adapters.language_model.chat_completions import Patience, open_chat_completions
from adapters.language_model.scripted import ScriptedModel
from adapters.observability.structured_log import StructuredLog
from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from adapters.system.clock import SystemClock
from adapters.system.identifier_source import RandomIdentifiers
from domain.model.turn_policy import TurnPolicy
from domain.service.prompt_building import Budget
from entrypoints.settings import Settings
from entrypoints.storage import opened_storage
from entrypoints.turn_runner import TaskTurnRunner
from entrypoints.usecases.abandon_turn import AbandonTurn
from entrypoints.usecases.answer_again import AnswerAgain
from entrypoints.usecases.answer_tools import AnswerTools
from entrypoints.usecases.begin_conversation import BeginConversation
from entrypoints.usecases.change_conversation import ChangeConversation
from entrypoints.usecases.find_conversation import FindConversation
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.forget_conversation import ForgetConversation
from entrypoints.usecases.make_reply import MakeReply
from entrypoints.usecases.open_conversation import OpenConversation
from entrypoints.usecases.open_turn import OpenTurn
from entrypoints.usecases.put_in import PutIn
from entrypoints.usecases.read_history import ReadHistory
from entrypoints.usecases.reply_unkept import ReplyUnkept
from entrypoints.usecases.save_reply import SaveReply
from entrypoints.usecases.send_message import SendMessage
from entrypoints.usecases.start_turn import StartTurn
from entrypoints.usecases.stop_turn import StopTurn
from entrypoints.usecases.turn_watch import MissingLogs, TurnWatch
from ports.assistant_profile import AssistantProfile
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.language_model import LanguageModel
from ports.rate_limiter import RateLimiter, Share
from ports.readiness import Readiness
from ports.telemetry import Telemetry
from ports.turn_log import TurnLog
from ports.turn_runner import TurnRunner

USE_CASES: Final = (
    AbandonTurn,
    AnswerAgain,
    AnswerTools,
    FindConversation,
    BeginConversation,
    ChangeConversation,
    FollowTurn,
    ForgetConversation,
    MakeReply,
    OpenConversation,
    OpenTurn,
    PutIn,
    ReadHistory,
    ReplyUnkept,
    SaveReply,
    SendMessage,
    StartTurn,
    StopTurn,
    TurnWatch,
)
_WORD_PAUSE: Final = timedelta(milliseconds=40)


@asynccontextmanager
async def opened_container(settings: Settings) -> AsyncIterator[punq.Container]:
    """The container with every adapter open; they are closed in reverse order at the end.

    Raises:
        KeyRingProblem, ProfileProblem, RedisAway: what the operator has to mend; no key or password
            is shown.
    """
    container = punq.Container()
    ring = KeyRing.parse(settings.keys) if settings.keys else KeyRing.random(os.urandom)
    keys: ClientKeys = SealedClientKeys(ring=ring, random_bytes=os.urandom)
    clock: Clock = SystemClock()
    telemetry: Telemetry = StructuredLog(keys.pseudonym)
    profile: AssistantProfile = load_assistant(settings.assistant_file)
    identifiers: IdentifierSource = RandomIdentifiers()
    runner = TaskTurnRunner(max_turns=settings.max_turns, telemetry=telemetry)
    turn_runner: TurnRunner = runner
    container.register(ClientKeys, instance=keys)
    container.register(Clock, instance=clock)
    container.register(Telemetry, instance=telemetry)
    container.register(AssistantProfile, instance=profile)
    container.register(IdentifierSource, instance=identifiers)
    container.register(TurnRunner, instance=turn_runner)
    container.register(TaskTurnRunner, instance=runner)
    container.register(TurnPolicy, instance=TurnPolicy())
    container.register(MissingLogs, instance=MissingLogs())
    container.register(Budget, instance=_budget(settings))
    for use_case in USE_CASES:
        container.register(use_case)
    _register_limiter(container, settings, clock, keys)
    async with AsyncExitStack() as stack:
        storage = await opened_storage(stack, settings, ring, clock, telemetry)
        container.register(ConversationStateStore, instance=storage.store)
        container.register(TurnLog, instance=storage.log)
        container.register(Readiness, instance=storage.readiness)
        model = await _opened_model(stack, settings, clock)
        container.register(LanguageModel, instance=model)
        yield container


def _budget(settings: Settings) -> Budget:
    return Budget(tokens=settings.model_context_tokens, reply_tokens=settings.model_reply_tokens)


def _register_limiter(
    container: punq.Container, settings: Settings, clock: Clock, keys: ClientKeys
) -> None:
    amounts = {Share.NEW: settings.new_per_hour, Share.STORED: settings.stored_bytes_per_hour}
    limiter: RateLimiter = InMemoryRateLimiter(
        clock=clock, per_hour=amounts, pseudonym=keys.pseudonym
    )
    container.register(RateLimiter, instance=limiter)


async def _opened_model(stack: AsyncExitStack, settings: Settings, clock: Clock) -> LanguageModel:
    if settings.model_base_url is None or settings.model_name is None:
        return ScriptedModel(clock=clock, pause=_WORD_PAUSE)
    return await stack.enter_async_context(
        open_chat_completions(
            base_url=settings.model_base_url,
            api_key=settings.model_api_key,
            model=settings.model_name,
            patience=Patience(
                connect=settings.model_connect_timeout,
                first_piece=settings.model_first_piece_timeout,
                silence=settings.model_silence_timeout,
            ),
            clock=clock,
        )
    )
