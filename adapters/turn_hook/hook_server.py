"""Where the hook is, and how long to wait for it."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen


@frozen(kw_only=True)
class HookServer:
    """The hook over HTTP.

    Attributes:
        keys: each request has a signature with each of them.
        connect_timeout: for one attempt to connect.
        timeout: for the whole question, from the first attempt to the last byte of the answer.
        ca_file: certificates to trust instead of the system's.
    """

    url: str
    keys: tuple[bytes, ...] = field(repr=False)
    connect_timeout: timedelta
    timeout: timedelta
    ca_file: Path | None = None

    @property
    def address(self) -> str:
        """Host and port; without a port if the URL has none."""
        return urlsplit(self.url).netloc
