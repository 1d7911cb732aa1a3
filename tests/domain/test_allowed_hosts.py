"""Hosts that may be reached for callers, and their addresses."""

import pytest

from homeport.domain.allowed_hosts import AllowedHosts, Target, is_allowed, parse_allowed_host

PUBLIC = Target("https", "mcp.example.com", 443, allows_own=False)
OWN = Target("http", "tools.lan", 8000, allows_own=True)


@pytest.mark.parametrize(
    ("entry", "url", "target"),
    [
        ("mcp.example.com", "https://mcp.example.com/mcp", PUBLIC),
        ("MCP.Example.com.", "https://mcp.EXAMPLE.com.:443/mcp?a=b", PUBLIC),
        ("https://mcp.example.com/", "https://mcp.example.com", PUBLIC),
        ("mcp.example.com:8443", "https://mcp.example.com:8443/", PUBLIC._replace(port=8443)),
        ("http://tools.lan:8000", "http://tools.lan:8000/mcp", OWN),
        ("http://tools.lan", "http://tools.lan/mcp", OWN._replace(port=80)),
        ("localhost:9000", "http://localhost:9000/", Target("http", "localhost", 9000, allows_own=True)),
        ("localhost:9000", "https://localhost:9000/", Target("https", "localhost", 9000, allows_own=True)),
        ("10.0.0.5", "http://10.0.0.5/", Target("http", "10.0.0.5", 80, allows_own=True)),
        ("[::1]:9000", "http://[0:0:0:0:0:0:0:1]:9000/", Target("http", "::1", 9000, allows_own=True)),
        ("8.8.8.8", "https://8.8.8.8/", Target("https", "8.8.8.8", 443, allows_own=False)),
    ],
)
def test_listed_hosts_are_found(entry: str, url: str, target: Target) -> None:
    """A URL whose scheme, host and port are listed leads to its host."""
    assert AllowedHosts(["other.example.com", entry]).find(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.com/",
        "https://mcp.example.com:8443/",
        "https://mcp.example.com.evil.com/",
        "https://evil.com/mcp.example.com",
        "https://evil.com#mcp.example.com",
        "http://mcp.example.com/",
        "http://mcp.example.com:443/",
        "https://tools.lan:8000/",
        "https://mcp.example.com@evil.com/",
        "https://user:password@mcp.example.com/",
        "https://mcp.example.com\\@evil.com/",
        "https://mcp.example.com\t/",
        "https://mcp.exämple.com/",
        "https://mcp.example.com:99999/",
        "https://[::1/",
        "https:///mcp",
        "file:///etc/passwd",
        "mcp.example.com",
        "",
        "https://mcp.example.com/" + "x" * 2048,
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """What is not listed, or is no plain URL, is refused."""
    with pytest.raises(ValueError, match=r"\w"):
        AllowedHosts(["mcp.example.com", "http://tools.lan:8000"]).find(url)


def test_nothing_is_listed_by_default() -> None:
    """Without entries, no host may be reached."""
    with pytest.raises(ValueError, match="not one that this server may reach"):
        AllowedHosts(()).find("http://127.0.0.1/")


@pytest.mark.parametrize(
    "entry", ["", "a b", "*.example.com", "ftp://a", "a:0", "a:99999", "http://", "a/b", "[::1", "a@b"]
)
def test_wrong_entries_are_refused(entry: str) -> None:
    """An entry that is no host is refused."""
    with pytest.raises(ValueError, match="not a host"):
        parse_allowed_host(entry)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    """A listed name may have a public address."""
    assert is_allowed(address, PUBLIC)
    assert is_allowed(address, OWN)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.18.0.5", "192.168.1.1", "100.100.1.1", "::1", "fd00::1", "::ffff:10.0.0.1"],
)
def test_own_addresses_need_an_own_host(address: str) -> None:
    """An address of the operator's own networks is allowed only for hosts that were listed as such."""
    assert not is_allowed(address, PUBLIC)
    assert is_allowed(address, OWN)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "0.0.0.0",  # noqa: S104
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::10.0.0.1",
        "2002:a9fe:a9fe::1",
        "2002:7f00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fec0::1",
        "nonsense",
    ],
)
def test_other_addresses_are_never_allowed(address: str) -> None:
    """Link-local, multicast and reserved addresses are refused, also in the forms of IPv6 that stand for them."""
    assert not is_allowed(address, PUBLIC)
    assert not is_allowed(address, OWN)


@pytest.mark.parametrize("url", ["https://images.example.com/a.png", "https://8.8.8.8/a.png", "https://a.b.:443/"])
def test_every_public_host_can_be_allowed(url: str) -> None:
    """With `*`, any public host is reached over HTTPS, and never at an address of the own networks."""
    assert not AllowedHosts([])
    hosts = AllowedHosts(["*", "http://nas.lan"])
    assert hosts
    target = hosts.find(url)
    assert (target.scheme, target.port, target.allows_own) == ("https", 443, False)
    assert hosts.find("http://nas.lan/a.png").allows_own


@pytest.mark.parametrize(
    "url",
    [
        "http://images.example.com/a.png",
        "https://images.example.com:8443/a.png",
        "https://user@images.example.com/a.png",
        "https://localhost/a.png",
        "https://nas/a.png",
        "https://10.0.0.1/a.png",
        "https://127.0.0.1/a.png",
        "https://169.254.169.254/latest",
        "https://[::1]/a.png",
        "https://[::ffff:10.0.0.1]/a.png",
        "https://[fd00::1]/a.png",
        "ftp://images.example.com/a.png",
        "file:///etc/passwd",
    ],
)
def test_every_public_host_is_no_other(url: str) -> None:
    """With `*`, other schemes and ports, names without a dot and private addresses are refused."""
    with pytest.raises(ValueError, match=r"\w"):
        AllowedHosts(["*"]).find(url)
