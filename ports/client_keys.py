"""Client keys: who is calling, and the ids derived from a caller's key."""

from typing import Protocol

from attrs import field, frozen

from domain.model.identifiers import ConversationRef, Owner, SessionId


@frozen(kw_only=True)
class Caller:
    """An authenticated caller.

    Attributes:
        owner: whose conversations the caller may open.
        is_from_operator: True if the operator issued the key, False if anybody can get such a key.
        reissued_key: the same client key signed with the newest master key, to be returned to the
            caller; None if the presented key is already signed with it.
    """

    owner: Owner
    is_from_operator: bool = False
    reissued_key: str | None = field(default=None, repr=False)


class ClientKeys(Protocol):
    """Issues client keys and authenticates them. Nothing is stored, and no method waits."""

    def issue(self, *, from_operator: bool = False) -> str:
        """A new client key: ``ck_`` and 64 characters of ``A-Za-z0-9_-``.

        ``from_operator`` marks it as issued by the operator, also when it is re-issued later.
        """
        ...

    def authenticate(self, client_key: str) -> Caller:
        """The caller who holds this key.

        Raises:
            ClientKeyInvalid: it was not signed with any configured master key.
        """
        ...

    def session_for_chat_id(self, owner: Owner, chat_id: str) -> SessionId:
        """The session id derived from a client's own chat id, different for each owner."""
        ...

    def session_for_request(self, owner: Owner, idempotency_key: str) -> SessionId:
        """The session id of a first message sent with this Idempotency-Key."""
        ...

    def session_for_chain(self, owner: Owner, name: str) -> SessionId:
        """The session id of a chain of requests that the client names, each with its history."""
        ...

    def conversation_pseudonym(self, ref: ConversationRef) -> str:
        """A digest of 32 hex digits that stands for a conversation outside the service.

        It is keyed with the owner's secret, so it can be computed only during the owner's requests.
        It stays the same when the master keys change.
        """
        ...

    def pseudonym(self, name: str) -> str:
        """A keyed digest of 16 hex digits that replaces ``name`` in logs and quotas."""
        ...
