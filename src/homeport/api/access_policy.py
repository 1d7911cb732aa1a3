"""The access policy: keys, or without keys only programs of this machine.

Without any key every caller on this machine has access, so web pages must be refused: their requests carry the `Origin`
of another host, or (DNS rebinding) a `Host` that is not this machine.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from homeport.api.request_context import ANYONE, Caller, InternalCaller
from homeport.domain.errors import Forbidden, Unauthenticated
from homeport.domain.ports.store import KeyCache
from homeport.domain.security import is_loopback, mask_secret

_ISSUED_BY = "the operator of this Homeport server"
ADMIN_PREFIX = "/admin/"
ORGANIZATION_PREFIX = "/v1/organization/"
SELF_PATH = "/admin/v1/self"
"""Tells callers what they may do, so every key gives access to it, as the only path of `/admin`."""
PUBLIC_FILE_PREFIXES = ("/images/", "/shapes/")
"""Anybody who knows the name of an image or a shape may fetch it without a key, as browsers do."""
_CROSS_SITE = "cross-site"


def is_this_machine(host: str | None) -> bool:
    """Return whether programs and pages of this machine may use this host name or address for it.

    In addition to loopback these are `*.localhost` (RFC 6761), IPv4 loopback written as IPv6, and 0.0.0.0 and ::, which
    systems treat as loopback. DNS cannot rebind any of them.
    """
    if not host or is_loopback(host) or host.lower().rstrip(".").endswith(".localhost"):
        return bool(host)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_unspecified


def is_administrative(path: str) -> bool:
    """Return whether a path needs an admin key."""
    return f"{path}/".startswith(ADMIN_PREFIX) or path.startswith(ORGANIZATION_PREFIX)


@dataclass(frozen=True)
class Scraping:
    """Who may read `/metrics`. `mode`: `local` (this machine without a key, others with a caller's), `key`, or `off`.

    `keys`: digests of the keys for it. If there are any, only these keys give access.
    """

    mode: str = "local"
    keys: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, mode: str, key: str | None) -> Self:
        """Build the rule from a key, if there is one."""
        return cls(mode, (_digest(key),) if key else ())


def _is_no_session(_: str) -> bool:
    return False


@dataclass(frozen=True)
class AccessPolicy:
    """Who has access. Keys are stored as digests.

    `origins`: the web origins with CORS, or `*`. Admin keys give access to `/admin` only, tool tokens to everything;
    without either, `/admin` does not exist. `key_cache`: the stored keys. `scraping`: the rule of `/metrics`.
    `is_session`: whether a token is that of a session of the page, which gives access to everything.
    """

    key_digests: tuple[bytes, ...] = ()
    origins: tuple[str, ...] = ()
    admin_digests: tuple[bytes, ...] = ()
    tool_digests: tuple[bytes, ...] = ()
    key_cache: KeyCache | None = None
    scraping: Scraping = Scraping()
    is_session: Callable[[str], bool] = _is_no_session

    @classmethod
    def from_keys(
        cls,
        keys: Sequence[str] = (),
        origins: Sequence[str] = (),
        admin_keys: Sequence[str] = (),
        tool_tokens: Sequence[str] = (),
        key_cache: KeyCache | None = None,
        scraping: Scraping | None = None,
    ) -> Self:
        """Build the policy from keys."""
        digests, admins, tools = (tuple(map(_digest, each)) for each in (keys, admin_keys, tool_tokens))
        return cls(digests, tuple(origins), admins, tools, key_cache, scraping or Scraping())

    @property
    def is_keyless(self) -> bool:
        """Whether no key is set and none was ever stored: programs of this machine need none, others have no access."""
        return not self.key_digests and not (self.key_cache is not None and self.key_cache.requires_key)

    def authenticate(self, headers: Headers) -> Caller:
        """Return the caller that sent these headers. Raises Unauthenticated."""
        if self.is_keyless:
            return ANYONE
        key = bearer(headers)
        if not key:
            raise Unauthenticated(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or in an x-api-key header. You can obtain an API "
                f"key from {_ISSUED_BY}."
            )
        if _matches_any(key, self.key_digests + self.tool_digests) or self.is_session(key):
            return Caller(ANYONE.project, mask_secret(key))
        if self.key_cache is not None and (issued := self.key_cache.find(key)):
            return Caller(issued.project, issued.hint, issued)
        raise Unauthenticated(
            f"Incorrect API key provided: {mask_secret(key)}. You can obtain an API key from {_ISSUED_BY}."
        )

    def is_caller(self, headers: Headers) -> bool:
        """Return whether these headers give access to more than `/admin`."""
        try:
            self.authenticate(headers)
        except Unauthenticated:
            return False
        return True

    def authenticate_internal(self, caller: InternalCaller) -> Caller:
        """Return the caller of a request that this server sends. Raises Unauthenticated if its key is not valid now."""
        if not caller.key_id:
            return Caller(caller.project)
        issued = self.key_cache.find_by_id(caller.key_id) if self.key_cache is not None else None
        if issued is None:
            raise Unauthenticated(f"The API key {caller.key_id}, which this request runs under, is no longer valid.")
        return Caller(issued.project, issued.hint, issued)

    def is_admin(self, headers: Headers) -> bool:
        """Return whether these headers carry an admin key."""
        key = bearer(headers)
        return _matches_any(key, self.admin_digests + self.tool_digests) or self.is_session(key)

    def is_own_user(self, headers: Headers) -> bool:
        """Return whether these headers carry a token that only the programs of the server's own user can read."""
        return _matches_any(bearer(headers), self.tool_digests)

    def check_scraping(self, headers: Headers, *, is_local: bool) -> bool:
        """Return whether a request may read `/metrics` as it is; if not, it needs a caller's key.

        `is_local`: the request comes from this machine. Raises Unauthenticated if a caller's key is not enough.
        """
        rule, key = self.scraping, bearer(headers)
        if _matches_any(key, rule.keys + self.tool_digests) or (rule.mode == "local" and not rule.keys and is_local):
            return True
        if rule.keys or (rule.mode == "key" and self.is_keyless):
            raise Unauthenticated("`/metrics` requires the key in HOMEPORT_METRICS_KEY as a Bearer token.")
        return False

    def check_host_and_origin(self, path: str, headers: Headers) -> None:
        """Refuse requests that a web page of another host may have sent, for servers without keys. Raises Forbidden.

        `/admin` is available under the names of loopback only.
        """
        is_allowed = is_loopback if is_administrative(path) else is_this_machine
        if not has_host(f"//{headers.get('host', '')}", is_allowed):
            raise Forbidden(
                "This server has no API key set and answers only requests to localhost. Run `homeport keys create` or "
                "set HOMEPORT_API_KEYS to reach it under another name.",
                code="host_not_allowed",
            )
        origin = headers.get("origin")
        if "*" in self.origins or origin in self.origins or (origin is not None and has_host(origin, is_allowed)):
            return
        # If a browser sends no origin (links, images, scripts), it still sends the site of the page.
        is_foreign = headers.get("sec-fetch-site", "").strip().lower() == _CROSS_SITE
        if origin is not None or (is_foreign and path != "/" and not path.startswith(PUBLIC_FILE_PREFIXES)):
            raise Forbidden(
                "This server has no API key set and does not answer web pages of other origins. Set "
                "HOMEPORT_API_KEYS, or allow this origin in the server's settings.",
                code="origin_not_allowed",
            )

    def allows_page(self, path: str, headers: Headers) -> bool:
        """Return whether this is a page of this machine that has access without a key; never to `/admin`."""
        origin = headers.get("origin")
        if origin is None or not self.is_keyless or is_administrative(path) or not has_host(origin, is_this_machine):
            return False
        return has_host(f"//{headers.get('host', '')}", is_this_machine)


def has_host(url: str, is_match: Callable[[str | None], bool]) -> bool:
    """Return whether a URL has no credentials and a host for which `is_match` is true."""
    try:
        parts = urlsplit(url)
        return parts.username is None and is_match(parts.hostname)
    except ValueError:
        return False


def bearer(headers: Headers) -> str:
    """Return the key in the headers, as OpenAI's clients send it, or else as Azure's or Anthropic's do."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return (headers.get("api-key") or headers.get("x-api-key", "")).strip()


def _matches_any(key: str, digests: tuple[bytes, ...]) -> bool:
    """Compare with every digest, each in constant time, so that the delay reveals nothing."""
    digest = _digest(key)
    matches = [hmac.compare_digest(digest, known) for known in digests]
    return any(matches)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
