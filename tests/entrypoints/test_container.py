"""The container wires every use case, with one instance of each port, and misses none."""

import inspect
from datetime import timedelta
from pathlib import Path

import punq
import pytest

from adapters.assistant_profile.toml_file import ProfileProblem
from adapters.language_model.chat_completions import ChatCompletions
from adapters.language_model.scripted import ScriptedModel
from adapters.sealing.key_ring import KeyRingProblem
from adapters.system.turn_runner import TaskTurnRunner
from domain.model.assistant import Assistant
from domain.model.budget import Budget
from domain.model.identifiers import TurnRef
from domain.model.turn import TurnPolicy
from domain.service.user_images import ImagePolicy
from entrypoints.container import USE_CASES, open_container
from entrypoints.settings import Settings
from entrypoints.usecases.prompt_budget import PromptBudget
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.language_model import LanguageModel
from ports.rate_limiter import RateLimiter
from ports.telemetry import Telemetry
from ports.turn_log import TurnLog
from ports.turn_runner import TurnRunner
from tests.support.builders import OWNER, REF, a_conversation, turn_id, with_question
from tests.support.model_server import ModelResponse
from tests.support.odd_model_servers import odd_model_server

PORTS: tuple[type, ...] = (
    Assistant,
    ClientKeys,
    Clock,
    ConversationStateStore,
    IdentifierSource,
    LanguageModel,
    RateLimiter,
    Telemetry,
    TurnLog,
    TurnRunner,
)
NEEDED: tuple[type, ...] = (*PORTS, PromptBudget, ImagePolicy, TurnPolicy, TaskTurnRunner)


def parts_of(use_case: object) -> dict[type, object]:
    """The fields of a use case by their type, including those of the use cases among them."""
    annotations = inspect.get_annotations(type(use_case))
    parts = {kind: getattr(use_case, name) for name, kind in annotations.items()}
    for part in list(parts.values()):
        if isinstance(part, USE_CASES):
            parts.update(parts_of(part))
    return parts


@pytest.mark.parametrize("use_case", USE_CASES)
async def test_all_use_cases_share_the_same_instances(use_case: type) -> None:
    async with open_container(Settings()) as container:
        parts = parts_of(container.resolve(use_case))

        shared = {kind: part for kind, part in parts.items() if kind not in USE_CASES}
        assert shared
        assert {kind: container.resolve(kind) is part for kind, part in shared.items()} == (
            dict.fromkeys(shared, True)
        )


@pytest.mark.parametrize("kind", NEEDED)
async def test_there_is_one_instance_of_each(kind: type) -> None:
    async with open_container(Settings()) as container:
        assert container.resolve(kind) is container.resolve(kind)


async def test_a_new_conversation_opens_its_turn_in_the_log_that_is_read() -> None:
    async with open_container(Settings()) as container:
        await container.resolve(ConversationStateStore).create(
            OWNER, with_question(a_conversation())
        )

        batch = await container.resolve(TurnLog).read(TurnRef(REF, turn_id()), 0, timedelta())

    assert batch.is_empty


async def test_the_runner_that_drains_is_the_runner_of_the_use_cases() -> None:
    async with open_container(Settings()) as container:
        runner: object = container.resolve(TaskTurnRunner)

        assert container.resolve(TurnRunner) is runner


@pytest.mark.parametrize("use_case", USE_CASES)
def test_a_use_case_has_no_default_that_could_replace_a_port(use_case: type) -> None:
    parameters = inspect.signature(use_case).parameters.values()

    assert [one.name for one in parameters if one.default is not inspect.Parameter.empty] == []


@pytest.mark.parametrize("missing", PORTS)
async def test_a_missing_port_is_an_error(missing: type) -> None:
    async with open_container(Settings()) as container:
        users = [case for case in USE_CASES if missing in parts_of(container.resolve(case))]
        incomplete = punq.Container()
        for kind in NEEDED:
            if kind is not missing:
                incomplete.register(kind, instance=container.resolve(kind))
    for use_case in USE_CASES:
        incomplete.register(use_case)

    assert users
    for use_case in users:
        with pytest.raises(punq.MissingDependencyError):
            incomplete.resolve(use_case)


def test_every_file_of_use_cases_is_wired() -> None:
    folder = Path(inspect.getfile(USE_CASES[0])).parent
    wired = {Path(inspect.getfile(case)).stem for case in USE_CASES}

    no_use_cases = {"__init__", "prompt_budget", "reply_writer", "retrying", "turn_permit"}
    assert wired | no_use_cases == {path.stem for path in folder.glob("*.py")}


async def test_the_settings_choose_the_model() -> None:
    settings = Settings(model_base_url="http://model.test/v1", model_name="small")

    async with open_container(Settings()) as container:
        scripted: object = container.resolve(LanguageModel)
    async with open_container(settings) as container:
        real: object = container.resolve(LanguageModel)

    assert isinstance(scripted, ScriptedModel)
    assert isinstance(real, ChatCompletions)
    assert real.name == "small"


async def test_the_settings_choose_the_token_budget() -> None:
    settings = Settings(model_context_tokens=4_000, model_reply_tokens=500)

    async with open_container(settings) as container:
        assert container.resolve(PromptBudget).current == Budget(tokens=4_000, reply_tokens=500)


async def test_without_settings_the_token_budget_is_the_default() -> None:
    async with open_container(Settings()) as container:
        await container.resolve(PromptBudget).refresh()

        assert container.resolve(PromptBudget).current == Budget(tokens=8_192, reply_tokens=4_096)


async def test_the_model_server_states_the_token_budget() -> None:
    body = b'{"data": [{"id": "small", "max_model_len": 16384}]}'
    async with odd_model_server({"/v1/models": ModelResponse(chunks=(body,))}) as server:
        settings = Settings(model_base_url=f"{server.origin}/v1", model_name="small")

        async with open_container(settings) as container:
            await container.resolve(PromptBudget).refresh()

            assert container.resolve(PromptBudget).current.tokens == 16_384


async def test_the_profile_bounds_the_token_budget(tmp_path: Path) -> None:
    profile = tmp_path / "assistant.toml"
    profile.write_text(
        'system_prompt = "Be kind."\n[welcome]\nen = "Hello!"\n[memory]\nprompt_tokens = 1000\n',
        "utf-8",
    )

    async with open_container(Settings(assistant_file=profile)) as container:
        assert container.resolve(PromptBudget).current == Budget(tokens=1_000, reply_tokens=500)


async def test_invalid_keys_and_an_unreadable_profile_are_raised_as_such(tmp_path: Path) -> None:
    with pytest.raises(KeyRingProblem):
        await open_container(Settings(keys="first:planted")).__aenter__()
    with pytest.raises(ProfileProblem):
        await open_container(Settings(assistant_file=tmp_path / "absent")).__aenter__()
