"""Whose use is counted."""

from attrs import frozen


@frozen(kw_only=True)
class Payer:
    """Whose limits count a request. Both names are keyed digests.

    Attributes:
        client_key: the client key; None if the caller has none yet.
        address: the network address.
    """

    client_key: str | None
    address: str
