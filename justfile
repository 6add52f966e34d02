# The same gates run here and in CI.
set positional-arguments

# All gates. They must be green before a commit.
check: lint types contracts test

lint:
    ruff check .
    ruff format --check .

types:
    mypy

contracts:
    lint-imports

# Tests with branch coverage. Arguments are passed to pytest.
test *arguments:
    pytest --cov --cov-report=term-missing "$@"

# Kills processes and Redis at random: just faults -- --kills 1000 --seed 7
faults *arguments:
    python -W error -m tests.faults.random_kills "$@"

# Installs the clients from PyPI that the tests run in environments of their own.
install-clients:
    for lock in clients llama_index; do \
        python -m venv .clients/$lock && \
        .clients/$lock/bin/pip install -q --require-hashes -r requirements/$lock.txt || exit; \
    done

# Runs the suites of the clients from PyPI and npm, and writes their tables in docs/clients.md.
clients:
    python -m tools.client_table

# Writes docs/hook.openapi.json from the types of the hook.
hook-document:
    python -m tools.hook_document

# Sizes of files, classes and functions: a report without a limit.
shape:
    python -m tools.shape
