"""How open files are shared between clients and the model's server."""

import pytest

from entrypoints.cli.process_limits import possible_connections


@pytest.mark.parametrize(
    ("open_files", "possible"),
    [
        (1_048_576, 8_192),
        (8_192 + 2_000 + 128, 8_192),
        (8_192 + 2_000 + 127, 8_191),
        (4_128, 2_000),
        (1_128, 500),
        (0, 1),
    ],
)
def test_clients_get_what_replies_leave_and_at_least_half(open_files: int, possible: int) -> None:
    assert possible_connections(open_files, 8_192, 2_000) == possible
