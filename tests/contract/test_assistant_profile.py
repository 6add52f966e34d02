"""What every assistant's profile promises: see ``ports.assistant_profile``."""

import pytest

from ports.assistant_profile import AssistantProfile
from tests.contract.adapters import PROFILES


@pytest.fixture(params=sorted(PROFILES))
def profile(request: pytest.FixtureRequest) -> AssistantProfile:
    return PROFILES[request.param]()


def test_it_knows_who_speaks_and_how_it_welcomes(profile: AssistantProfile) -> None:
    assistant = profile.assistant()

    assert assistant.system_prompt.strip()
    assert assistant.welcomes[assistant.default_locale].strip()


def test_it_tells_the_same_every_time(profile: AssistantProfile) -> None:
    assert profile.assistant() == profile.assistant()
