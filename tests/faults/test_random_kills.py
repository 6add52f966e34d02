"""A short run of kills at random; the long one is ``just faults -- --kills 1000``."""

import secrets

from tests.faults.random_kills import Plan, run

KILLS = 16


async def test_while_only_redis_is_killed_every_turn_is_paid_for_once() -> None:
    plan = Plan(seed=secrets.randbelow(1_000_000), kills=KILLS, spares_processes=True)
    print(f"seed {plan.seed}")  # noqa: T201 - to repeat a run that failed
    result = await run(plan)

    assert result.acknowledged > KILLS
    assert (result.asked_again, result.deaths) == ([], 0)
    assert result.is_good, result.lines()


async def test_what_was_acknowledged_survives_kills_at_random() -> None:
    plan = Plan(seed=secrets.randbelow(1_000_000), kills=KILLS)
    print(f"seed {plan.seed}")  # noqa: T201 - to repeat a run that failed
    result = await run(plan)

    assert result.acknowledged > KILLS
    assert result.is_good, result.lines()
