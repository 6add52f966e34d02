"""Authenticates callers by bearer token or cookie, and rejects requests from other sites.

If ``Authorization`` is present, the cookie is ignored; the operator can let a header that holds no
client key count as none. An invalid cookie is ignored too. A caller without a key gets a new one,
but only with a successful response and after the origin check.
"""

import hashlib
import re
from enum import Enum
from ipaddress import ip_address
from typing import Final

from attrs import field, frozen
from starlette.requests import Request

from domain.model.identifiers import Owner
from domain.model.rate_limits import Payer
from entrypoints.http.addresses import network_of
from entrypoints.http.problems import BadRequest, CrossSiteRequest
from ports.client_keys import ClientKeys
from ports.errors import ClientKeyInvalid

_PLAIN_COOKIE: Final = "privity"
_HOST_COOKIE: Final = "__Host-privity"
_COOKIE_MAX_AGE: Final = 24 * 60 * 60
_MAX_HOPS: Final = 64
_KEY_PREFIX: Final = "ck_"
_OTHER_NAME: Final = (
    "The page and this service have different host names, so the browser sends no cookie. Use the "
    "same name for both: localhost and 127.0.0.1 are different sites."
)
REISSUED_KEY_HEADER: Final = "Privity-Client-Key"
ON_BEHALF_OF_HEADER: Final = "Privity-On-Behalf-Of"
_PORT: Final = re.compile(r":[0-9]*$")
_PERSON: Final = re.compile(r"[!-~]{1,256}")
# "ck_" and 252 of the 256 random bits. The rest of a key changes when it is re-issued.
_DIGESTED_CHARACTERS: Final = 45


class Credential(Enum):
    """What the caller authenticated with."""

    NONE = "none"
    COOKIE = "cookie"
    BEARER = "bearer"


@frozen(kw_only=True)
class HttpCaller:
    """An authenticated caller.

    Attributes:
        is_listed: True if the caller sent a bearer token from the operator's list of client keys.
        is_from_operator: True if the caller sent a bearer token that the operator issued.
        client_key: the key to send with a successful response; None if the caller keeps theirs.
    """

    owner: Owner
    credential: Credential
    is_listed: bool = False
    is_from_operator: bool = False
    client_key: str | None = field(default=None, repr=False)

    @property
    def is_trusted(self) -> bool:
        """Whether the caller may act as an app server, which speaks for many people."""
        return self.is_listed or self.is_from_operator


@frozen(kw_only=True)
class Authenticator:
    """Authenticates callers, checks origins and issues client keys.

    Attributes:
        public_origin: the origin of this service as browsers see it; None in development, where
            the Host header is used instead.
        embedding_origins: other sites that may call this service from their pages.
        proxies: the number of trusted proxies that append to X-Forwarded-For.
        listed: digests of the client keys in the operator's list, in hexadecimal.
        ignores_foreign_authorization: True if an ``Authorization`` header that holds no client key
            counts as none.
    """

    keys: ClientKeys
    public_origin: str | None
    embedding_origins: frozenset[str]
    proxies: int
    listed: frozenset[str] = frozenset()
    ignores_foreign_authorization: bool = False

    @property
    def _is_https(self) -> bool:
        return self.public_origin is not None and self.public_origin.startswith("https://")

    @property
    def cookie_name(self) -> str:
        """The name of the only cookie that is read and written."""
        return cookie_name(is_https=self._is_https)

    def authenticate(self, request: Request) -> HttpCaller | None:
        """The caller; None without a credential, or if the cookie is invalid.

        Raises:
            ClientKeyInvalid: the ``Authorization`` header holds no client key of this service, and
                counts.
        """
        if self._has_authorization(request):
            return self.authenticate_bearer(request)
        cookie = _cookie_value(request, self.cookie_name)
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

    def _has_authorization(self, request: Request) -> bool:
        """Whether there is an ``Authorization`` header that counts."""
        if self.ignores_foreign_authorization:
            return (_bearer_token(request) or "").startswith(_KEY_PREFIX)
        return "authorization" in request.headers

    def authenticate_bearer(self, request: Request) -> HttpCaller:
        """The caller with this bearer token; cookies are ignored.

        Raises:
            ClientKeyInvalid: there is no bearer token, or it is not a client key of this service.
        """
        token = _bearer_token(request)
        if token is None:
            raise ClientKeyInvalid
        caller = self.keys.authenticate(token)
        return HttpCaller(
            owner=caller.owner,
            credential=Credential.BEARER,
            is_listed=key_digest(token) in self.listed,
            is_from_operator=caller.is_from_operator,
            client_key=caller.reissued_key,
        )

    def authenticate_or_issue(self, request: Request) -> HttpCaller:
        """The caller; without a valid credential, a new caller with a new key.

        Raises:
            ClientKeyInvalid: as in ``authenticate``.
        """
        caller = self.authenticate(request)
        if caller is not None:
            return caller
        client_key = self.keys.issue()
        owner = self.keys.authenticate(client_key).owner
        return HttpCaller(owner=owner, credential=Credential.NONE, client_key=client_key)

    def check_origin(self, request: Request) -> None:
        """Reject a request that another site initiated.

        Routes that accept a cookie call this before they change anything.

        Raises:
            CrossSiteRequest: another site initiated the request.
        """
        if self._has_authorization(request) and _bearer_token(request) is not None:
            # Browsers never add a bearer token on their own, so no other site can forge this.
            return
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if site in ("same-origin", "none") or (site is None and origin is None):
            return
        if origin is None or not self._is_allowed(origin.lower(), request):
            raise CrossSiteRequest
        if self.embedding_origins and not self._is_https and not _has_same_host(origin, request):
            raise CrossSiteRequest(_OTHER_NAME)

    def _is_allowed(self, origin: str, request: Request) -> bool:
        if origin in self.embedding_origins:
            return True
        if self.public_origin is not None:
            return origin == self.public_origin
        host = _host(request)
        return bool(host) and origin in (f"http://{host}", f"https://{host}")

    def key_headers(self, caller: HttpCaller) -> dict[str, str]:
        """Response headers that send the caller its key; a cookie is renewed for 24 hours."""
        if caller.client_key is None:
            return {}
        if caller.credential is Credential.BEARER:
            return {REISSUED_KEY_HEADER: caller.client_key}
        return {"set-cookie": self._cookie(caller.client_key, _COOKIE_MAX_AGE)}

    def clear_key_headers(self) -> dict[str, str]:
        """Response headers that clear the cookie."""
        return {"set-cookie": self._cookie("", 0)}

    def _cookie(self, value: str, max_age: int) -> str:
        # Built by hand: Starlette's set_cookie(partitioned=True) requires Python 3.14.
        # Without https, the embedding pages are those of other ports of this machine: same site.
        is_cross_site = self._is_https and self.embedding_origins
        same_site = "None; Partitioned" if is_cross_site else "Lax"
        secure = "; Secure" if self._is_https else ""
        attributes = f"Path=/; Max-Age={max_age}; HttpOnly; SameSite={same_site}{secure}"
        return f"{self.cookie_name}={value}; {attributes}"

    def payer(self, request: Request, caller: HttpCaller | None) -> Payer:
        """Whose limits count this request.

        A trusted caller may name the person for whom it speaks, and is not limited by its address.

        Raises:
            BadRequest: ``on_behalf_of_malformed``, or ``client_key_not_allowed`` if the caller is
                not trusted.
        """
        person = _person(request)
        if caller is None or not caller.is_trusted:
            if person is not None:
                why = "This client key may not speak for other people."
                raise BadRequest("client_key_not_allowed", why)
            address = self.keys.pseudonym(f"address {network_of(self.address(request))}")
            return Payer(client_key=self._digest(caller, ""), address=address)
        return Payer(client_key=self._digest(caller, person or ""), address=None)

    def _digest(self, caller: HttpCaller | None, person: str) -> str | None:
        if caller is None:
            return None
        return self.keys.pseudonym(f"client key {caller.owner.secret.hex()} {person}")

    def address(self, request: Request) -> str:
        """The caller's network address: the peer's, or the one that the trusted proxies saw."""
        peer = request.client.host if request.client else "unknown"
        if not self.proxies:
            return peer
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        newest = forwarded.rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]
        hops = [hop.strip() for hop in newest if hop.strip()]
        if len(hops) < self.proxies:
            return peer
        return _ip_address(hops[-self.proxies]) or peer


def cookie_name(*, is_https: bool) -> str:
    """The name of the cookie with the client key."""
    return _HOST_COOKIE if is_https else _PLAIN_COOKIE


def key_digest(client_key: str) -> str:
    """The digest of a client key for the operator's list; re-issuing the key does not change it."""
    return hashlib.sha256(client_key[:_DIGESTED_CHARACTERS].encode()).hexdigest()


def _person(request: Request) -> str | None:
    """The person for whom the caller speaks; None without the header."""
    names = request.headers.getlist(ON_BEHALF_OF_HEADER)
    if not names:
        return None
    if len(names) > 1 or not _PERSON.fullmatch(names[0]):
        raise BadRequest("on_behalf_of_malformed")
    return names[0]


def _host(request: Request) -> str:
    return request.headers.get("host", "").lower()


def _has_same_host(origin: str, request: Request) -> bool:
    """Whether the origin has the host of the request; the ports may differ."""
    _, _, host = origin.lower().partition("//")
    return _PORT.sub("", host) == _PORT.sub("", _host(request))


def _cookie_value(request: Request, name: str) -> str | None:
    """The value of the last cookie with this name; None if there is none.

    Starlette parses all cookies, and the time that it takes for quoted ones grows with the square
    of their length. Client keys are never quoted.
    """
    cookies = ";".join(request.headers.getlist("cookie"))
    _, found, rest = f";{cookies}".replace("; ", ";").rpartition(f";{name}=")
    return rest.partition(";")[0].strip() if found else None


def _bearer_token(request: Request) -> str | None:
    """The bearer token; None without one, or with another authentication scheme."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _ip_address(hop: str) -> str | None:
    """The IP address of a hop in X-Forwarded-For; some proxies add the port of the connection."""
    address, _, port = hop.rpartition(":")
    has_port = port.isdigit() and (address.endswith("]") or ":" not in address)
    try:
        return str(ip_address((address if has_port else hop).strip("[]")))
    except ValueError:
        return None
