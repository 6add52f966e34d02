"""How long a conversation is kept. The stay is a promise to users and therefore no setting."""

from datetime import timedelta
from typing import Final

STAY: Final = timedelta(hours=24)
"""A conversation is forgotten this long after its last turn."""

UNUSED_STAY: Final = timedelta(hours=1)
"""A conversation nobody has spoken in yet is forgotten this long after it was opened."""
