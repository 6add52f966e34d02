"""Who is calling: the bearer or the cookie, and whether another site made the browser call.

``Authorization``, when present, is the only credential looked at. A cookie that does not
authenticate counts as no cookie. A new key is made for those who come without one, and given to
them only with the success of a request that passed the origin check.
"""

from enum import Enum
from ipaddress import ip_address
from typing import Final

from attrs import field, frozen
from starlette.requests import Request

from domain.model.identifiers import Owner
from entrypoints.http.problems import CrossSiteRequest
from ports.client_keys import ClientKeys
from ports.errors import ClientKeyInvalid

_PLAIN_COOKIE: Final = "privity"
_HOST_COOKIE: Final = "__Host-privity"
_COOKIE_SECONDS: Final = 24 * 60 * 60
RENEWED_KEY_HEADER: Final = "Privity-Client-Key"


class Credential(Enum):
    """What the caller showed."""

    NONE = "none"
    COOKIE = "cookie"
    BEARER = "bearer"


@frozen(kw_only=True)
class HttpCaller:
    """A caller, seen from HTTP.

    Attributes:
        client_key: the key to be handed out with a success; absent when the one shown is to stay.
    """

    owner: Owner
    credential: Credential
    client_key: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Authenticator:
    """Recognises callers.

    Attributes:
        public_origin: ours as users see it; absent in development, where the Host header tells.
        embedding_origins: other sites that may call us from their pages.
        proxies: how many trusted proxies append to X-Forwarded-For.
    """

    keys: ClientKeys
    public_origin: str | None
    embedding_origins: frozenset[str]
    proxies: int

    @property
    def _is_https(self) -> bool:
        return self.public_origin is not None and self.public_origin.startswith("https://")

    @property
    def cookie_name(self) -> str:
        """The only cookie that is read and written."""
        return _HOST_COOKIE if self._is_https else _PLAIN_COOKIE

    def authenticate(self, request: Request) -> HttpCaller | None:
        """The caller, absent when none is shown or the cookie is not (or no longer) ours.

        Raises:
            ClientKeyInvalid: the bearer is no client key of ours.
        """
        if "authorization" in request.headers:
            return self._bearer(_token(request))
        cookie = request.cookies.get(self.cookie_name)
        if cookie is None:
            return None
        try:
            caller = self.keys.authenticate(cookie)
        except ClientKeyInvalid:
            return None
        return HttpCaller(
            owner=caller.owner,
            credential=Credential.COOKIE,
            client_key=caller.reissued_key or cookie,
        )

    def _bearer(self, token: str | None) -> HttpCaller:
        if token is None:
            raise ClientKeyInvalid
        caller = self.keys.authenticate(token)
        return HttpCaller(
            owner=caller.owner, credential=Credential.BEARER, client_key=caller.reissued_key
        )

    def authenticate_or_issue(self, request: Request) -> HttpCaller:
        """The caller; a stranger gets a new key.

        Raises:
            ClientKeyInvalid: as in ``authenticate``.
        """
        known = self.authenticate(request)
        if known is not None:
            return known
        client_key = self.keys.issue()
        owner = self.keys.authenticate(client_key).owner
        return HttpCaller(owner=owner, credential=Credential.NONE, client_key=client_key)

    def check_origin(self, request: Request) -> None:
        """Refuse what another site made a browser send; needed for all that changes something.

        Raises:
            CrossSiteRequest: nothing was touched.
        """
        if _token(request) is not None:
            # A browser never adds a bearer by itself, so no other site can make it do so.
            return
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if site in ("same-origin", "none") or (site is None and origin is None):
            return
        if origin is None or not self._is_ours(origin.lower(), request):
            raise CrossSiteRequest

    def _is_ours(self, origin: str, request: Request) -> bool:
        if origin in self.embedding_origins:
            return True
        if self.public_origin is not None:
            return origin == self.public_origin
        host = request.headers.get("host", "").lower()
        return bool(host) and origin in (f"http://{host}", f"https://{host}")

    def key_headers(self, visitor: HttpCaller) -> dict[str, str]:
        """Response headers that give the caller its key, renewing the cookie's 24 hours."""
        if visitor.client_key is None:
            return {}
        if visitor.credential is Credential.BEARER:
            return {RENEWED_KEY_HEADER: visitor.client_key}
        return {"set-cookie": self._cookie(visitor.client_key, _COOKIE_SECONDS)}

    def clear_key_headers(self) -> dict[str, str]:
        """Response headers that clear the cookie."""
        return {"set-cookie": self._cookie("", 0)}

    def _cookie(self, value: str, seconds: int) -> str:
        site = "None; Partitioned" if self.embedding_origins else "Lax"
        secure = "; Secure" if self._is_https else ""
        attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite={site}{secure}"
        return f"{self.cookie_name}={value}; {attributes}"

    def address(self, request: Request) -> str:
        """The address that limits are counted by: the peer's, or what our own proxies saw."""
        peer = request.client.host if request.client else "unknown"
        if not self.proxies:
            return peer
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        if len(hops) < self.proxies:
            return peer
        return _plain_address(hops[-self.proxies]) or peer


def _token(request: Request) -> str | None:
    """What was shown as a bearer; absent without one, or with another kind of credential."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _plain_address(text: str) -> str | None:
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        return None
