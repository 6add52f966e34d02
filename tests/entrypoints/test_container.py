"""Everything is put together once, and nothing is forgotten in silence."""

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
from domain.model.identifiers import TurnRef
from domain.model.turn import TurnPolicy
from domain.service.prompt_building import Budget
from entrypoints.container import USE_CASES, opened_container
from entrypoints.settings import Settings
from ports.assistant_profile import AssistantProfile
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

PORTS: tuple[type, ...] = (
    AssistantProfile,
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
NEEDED: tuple[type, ...] = (*PORTS, Budget, TurnPolicy, TaskTurnRunner)


def parts_of(use_case: object) -> dict[type, object]:
    """Every part of a use case by its declared type, those of its own use cases included."""
    declared = inspect.get_annotations(type(use_case))
    found = {kind: getattr(use_case, name) for name, kind in declared.items()}
    for part in list(found.values()):
        if isinstance(part, USE_CASES):
            found.update(parts_of(part))
    return found


@pytest.mark.parametrize("use_case", USE_CASES)
async def test_every_use_case_works_with_the_same_parts(use_case: type) -> None:
    async with opened_container(Settings()) as container:
        parts = parts_of(container.resolve(use_case))

        shared = {kind: part for kind, part in parts.items() if kind not in USE_CASES}
        assert shared
        assert {kind: container.resolve(kind) is part for kind, part in shared.items()} == (
            dict.fromkeys(shared, True)
        )


@pytest.mark.parametrize("kind", NEEDED)
async def test_there_is_one_of_each(kind: type) -> None:
    async with opened_container(Settings()) as container:
        assert container.resolve(kind) is container.resolve(kind)


async def test_a_turn_is_logged_where_its_followers_read() -> None:
    async with opened_container(Settings()) as container:
        await container.resolve(ConversationStateStore).create(
            OWNER, with_question(a_conversation())
        )

        batch = await container.resolve(TurnLog).read(TurnRef(REF, turn_id()), 0, timedelta())

    assert batch.is_empty


async def test_the_runner_that_drains_is_the_one_that_runs() -> None:
    async with opened_container(Settings()) as container:
        runner: object = container.resolve(TaskTurnRunner)

        assert container.resolve(TurnRunner) is runner


@pytest.mark.parametrize("use_case", USE_CASES)
def test_a_use_case_has_no_defaults_that_could_stand_in_for_a_port(use_case: type) -> None:
    parameters = inspect.signature(use_case).parameters.values()

    assert [each.name for each in parameters if each.default is not inspect.Parameter.empty] == []


@pytest.mark.parametrize("missing", PORTS)
async def test_a_port_that_is_missing_is_an_error(missing: type) -> None:
    async with opened_container(Settings()) as container:
        users = [case for case in USE_CASES if missing in parts_of(container.resolve(case))]
        poorer = punq.Container()
        for kind in NEEDED:
            if kind is not missing:
                poorer.register(kind, instance=container.resolve(kind))
    for use_case in USE_CASES:
        poorer.register(use_case)

    assert users
    for use_case in users:
        with pytest.raises(punq.MissingDependencyError):
            poorer.resolve(use_case)


def test_every_use_case_of_the_folder_is_wired() -> None:
    folder = Path(inspect.getfile(USE_CASES[0])).parent
    wired = {Path(inspect.getfile(case)).stem for case in USE_CASES}

    assert wired | {"__init__"} == {path.stem for path in folder.glob("*.py")}


async def test_the_settings_choose_the_model() -> None:
    settings = Settings(model_base_url="http://model.test/v1", model_name="small")

    async with opened_container(Settings()) as container:
        scripted: object = container.resolve(LanguageModel)
    async with opened_container(settings) as container:
        real: object = container.resolve(LanguageModel)

    assert isinstance(scripted, ScriptedModel)
    assert isinstance(real, ChatCompletions)
    assert real.name == "small"


async def test_the_settings_bound_what_the_model_sees() -> None:
    settings = Settings(model_context_tokens=4_000, model_reply_tokens=500)

    async with opened_container(settings) as container:
        assert container.resolve(Budget) == Budget(tokens=4_000, reply_tokens=500)


async def test_what_the_operator_has_to_mend_is_raised_as_such(tmp_path: Path) -> None:
    with pytest.raises(KeyRingProblem):
        await opened_container(Settings(keys="first:planted")).__aenter__()
    with pytest.raises(ProfileProblem):
        await opened_container(Settings(assistant_file=tmp_path / "absent")).__aenter__()
