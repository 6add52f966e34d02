"""Short runs of random kills. A long one is ``just faults -- --kills 1000``."""

import secrets

from tests.faults.random_kills import Plan, run

KILLS = 16


async def test_while_only_redis_is_killed_the_model_is_called_once_per_turn() -> None:
    plan = Plan(seed=secrets.randbelow(1_000_000), kills=KILLS, only_redis=True)
    print(f"seed {plan.seed}")  # noqa: T201 - to repeat a failed run
    result = await run(plan)

    assert result.acknowledged > KILLS
    assert (result.model_called_again, result.killed_processes) == ([], 0)
    assert result.is_correct, result.lines()


async def test_acknowledged_turns_survive_random_kills() -> None:
    plan = Plan(seed=secrets.randbelow(1_000_000), kills=KILLS)
    print(f"seed {plan.seed}")  # noqa: T201 - to repeat a failed run
    result = await run(plan)

    assert result.acknowledged > KILLS
    assert result.is_correct, result.lines()


async def test_users_go_on_although_redis_restarts_every_two_seconds() -> None:
    plan = Plan(seed=secrets.randbelow(1_000_000), kills=2, redis_every=2, users=4, processes=2)
    print(f"seed {plan.seed}")  # noqa: T201 - to repeat a failed run
    result = await run(plan)

    assert (result.stuck, result.killed_processes) == ([], 2)
    assert result.is_correct, result.lines()
