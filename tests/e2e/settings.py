"""Settings that several tests share."""

from typing import Final

from entrypoints.settings import Settings

HTTPS: Final = "https://chat.example"
OLD: Final = "old:" + "b2xk" * 10 + "b2w="
NEW: Final = "new:" + "bmV3" * 10 + "bmU="
GENEROUS: Final = Settings(new_per_hour=1_000_000, stored_bytes_per_hour=10**12)
"""For a service that many tests share: all of them come from one address."""
