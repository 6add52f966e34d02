"""Who is calling: client keys, and the names that follow from them."""

from typing import Protocol

from attrs import field, frozen

from domain.model.identifiers import Owner, SessionId


@frozen(kw_only=True)
class Caller:
    """An authenticated caller.

    Attributes:
        owner: whose conversations it may open.
        reissued_key: the same key signed with the newest master key, to be sent back to the caller;
            None when the presented one is already the newest.
    """

    owner: Owner
    reissued_key: str | None = field(default=None, repr=False)


class ClientKeys(Protocol):
    """Makes client keys and recognises its own. Nothing is stored; no method waits."""

    def issue(self) -> str:
        """A new client key: ``ck_`` and 64 characters of ``A-Za-z0-9_-``."""
        ...

    def authenticate(self, client_key: str) -> Caller:
        """Whose key this is.

        Raises:
            ClientKeyInvalid: it was not made under any key of the ring.
        """
        ...

    def session_for_chat_id(self, owner: Owner, chat_id: str) -> SessionId:
        """The session that a client's own chat id names within this owner's space."""
        ...

    def session_for_request(self, owner: Owner, idempotency_key: str) -> SessionId:
        """The session of a first message that was sent with this Idempotency-Key."""
        ...

    def pseudonym(self, name: str) -> str:
        """A keyed digest of 16 hex digits that stands for ``name`` in logs and limits."""
        ...
