"""Which hosts the server may connect to on behalf of callers, and which addresses these hosts may have.

Nothing that is not listed is reached, and a listed name that suddenly has an address of the operator's own network (DNS
rebinding) is not reached either. Knows nothing of sockets and of what is sent.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

_MAX_URL_CHARS = 2048
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")
_ENTRY = re.compile(r"(?:(https?)://)?(\[[0-9a-fA-F:.]+\]|[^\[\]:/@?#]+)(?::(\d{1,5}))?/?")
_OWN_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7"),
    )
)
"""The private networks, that of carriers and VPNs, and loopback. Link-local addresses are never reached: in a cloud,
they give out credentials."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

ANY_PUBLIC = "*"
"""The entry of a list that allows every public host, over HTTPS."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(NamedTuple):
    """A host that may be reached. `allows_own`: also at an address of the operator's own networks."""

    scheme: str
    host: str
    port: int
    allows_own: bool


class AllowedHost(NamedTuple):
    """An entry of the list. `port` None: the scheme's own."""

    schemes: tuple[str, ...]
    host: str
    port: int | None
    allows_own: bool


def parse_allowed_host(text: str) -> AllowedHost:
    """Parse an entry: a host with an optional port, and an optional scheme. Raises ValueError.

    A name is reached over HTTPS, at public addresses only. With `http://` it is a host of the operator's own networks,
    reached without encryption. `localhost` and private addresses are such hosts by themselves.
    """
    match = _ENTRY.fullmatch(text.strip())
    host = "" if match is None else match[2].strip("[]").lower().rstrip(".")
    address = _to_address(host)
    host = host if address is None else str(address)
    if match is None or not (address or _NAME.fullmatch(host)) or (match[3] and not 0 < int(match[3]) < 65536):
        raise ValueError(f"has an entry that is not a host such as mcp.example.com or localhost:9000: {text[:100]!r}")
    scheme, port = match[1], int(match[3]) if match[3] else None
    is_own = host == "localhost" or (address is not None and not _is_public(address))
    if scheme == "http":
        return AllowedHost(("http",), host, port, allows_own=True)
    schemes = ("http", "https") if is_own and scheme is None else ("https",)
    return AllowedHost(schemes, host, port, allows_own=is_own)


class AllowedHosts:
    """The hosts that may be reached. `entries` as `parse_allowed_host` reads them, or `ANY_PUBLIC`."""

    def __init__(self, entries: Iterable[str]) -> None:
        listed = tuple(entries)
        self._allows_any = ANY_PUBLIC in listed
        self._hosts = tuple(parse_allowed_host(entry) for entry in listed if entry != ANY_PUBLIC)

    def __bool__(self) -> bool:
        return self._allows_any or bool(self._hosts)

    def find(self, url: str) -> Target:
        """Return what a URL leads to. Raises ValueError, with the reason, if it is no URL or not allowed."""
        if len(url) > _MAX_URL_CHARS:
            raise ValueError(f"it has more than {_MAX_URL_CHARS} characters")
        if not url.isascii() or any(char <= " " or char in '\\"<>^`{|}\x7f' for char in url):
            raise ValueError("it has characters that a URL has not")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("it is not a URL") from None
        if parts.scheme not in _PORTS or not host:
            raise ValueError("it does not begin with https:// and a host")
        if "@" in parts.netloc:
            raise ValueError("a URL with a user or password is not accepted")
        host = str(_to_address(host) or host.rstrip("."))
        port = port if port is not None else _PORTS[parts.scheme]
        for each in self._hosts:
            if each.host == host and (each.port or _PORTS[parts.scheme]) == port and parts.scheme in each.schemes:
                return Target(parts.scheme, host, port, each.allows_own)
        if self._allows_any and _is_any_public(parts.scheme, host, port):
            return Target(parts.scheme, host, port, allows_own=False)
        if parts.scheme == "http" and any(each.host == host for each in self._hosts):
            raise ValueError("this host is reached over https:// only")
        raise ValueError("its host is not one that this server may reach")


def is_allowed(address: str, target: Target) -> bool:
    """Return whether a host may be reached at an address that its name has."""
    parsed = _to_address(address.partition("%")[0])
    if parsed is None:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return _is_public(parsed) or (target.allows_own and any(parsed in network for network in _OWN_NETWORKS))


def _is_any_public(scheme: str, host: str, port: int) -> bool:
    """Return whether a host is reached if every public one is: by HTTPS on its own port, and at no listed network."""
    address = _to_address(host)
    named = _NAME.fullmatch(host) is not None and "." in host
    return scheme == "https" and port == _PORTS[scheme] and (named if address is None else _is_public(address))


def _is_public(address: _Address) -> bool:
    """Return whether an address is one of the public internet, also if it stands for an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        if (embedded := _embedded(address)) is not None:
            return _is_public(embedded)
        if address.is_site_local or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _to_address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
