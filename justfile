# The same gates here and in CI.
set positional-arguments

# Everything that must hold before a commit.
check: lint types contracts test

lint:
    ruff check .
    ruff format --check .

types:
    mypy

contracts:
    lint-imports

# Tests with branch coverage; arguments go to pytest.
test *arguments:
    pytest --cov --cov-report=term-missing "$@"

# Kills at random, as long as you like: just faults -- --kills 1000 --seed 7
faults *arguments:
    python -W error -m tests.faults.random_kills "$@"
