"""HTTP to one host at checked addresses. Names are resolved by a function of the test."""

import asyncio
import datetime
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from homeport.domain.allowed_hosts import Target
from homeport.serving import pinned_transport
from homeport.serving.pinned_transport import PinnedTransport
from tests.tool_server import response, running

MAX_BYTES = 1000


class Failed(Exception):
    """What a transport reports here."""

    def __init__(self, message: str, _: int | None) -> None:
        super().__init__(message)
        self.message = message


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses that names have, instead of those that a resolver knows."""
    known: dict[str, list[str]] = {}

    async def getaddrinfo(_: Any, host: str | bytes, port: int, **__: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        addresses = [name] if name.startswith("127.") else known.get(name)
        if addresses is None:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return known


def write_certificate(path: Path, name: str) -> Path:
    """Write a certificate of a name, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoded_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + encoded_key)
    return path


async def get(target: Target, url: str, max_bytes: int = MAX_BYTES) -> httpx2.Response:
    """Send one request."""
    async with httpx2.AsyncClient(transport=PinnedTransport(target, max_bytes, Failed), trust_env=False) as client:
        return await client.get(url)


async def refusal(target: Target, url: str) -> str:
    """Return why a request is refused."""
    transport = PinnedTransport(target, MAX_BYTES, Failed)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        with pytest.raises(httpx2.TransportError):
            await client.get(url)
    assert transport.failure is not None
    return transport.failure.message


async def test_a_name_is_connected_to_by_its_address(names: dict[str, list[str]]) -> None:
    """A name is reached at the address that was checked, under its own name."""
    names["tools.lan"] = ["127.0.0.1"]
    async with running(response(200, {"content-type": "text/plain"}, b"hello")) as port:
        target = Target("http", "tools.lan", port, allows_own=True)
        assert (await get(target, f"http://tools.lan:{port}/")).text == "hello"


async def test_a_name_with_a_private_address_is_refused(names: dict[str, list[str]]) -> None:
    """A listed public name that suddenly has an address of the own network is not reached, whichever of them it is."""
    names["mcp.example.com"] = ["93.184.215.14", "127.0.0.1"]
    target = Target("https", "mcp.example.com", 443, allows_own=False)
    assert "address that this server does not connect to" in await refusal(target, "https://mcp.example.com/")


async def test_a_name_is_resolved_once(names: dict[str, list[str]]) -> None:
    """A name that has another address at the second request is still reached at the first one."""
    names["tools.lan"] = ["127.0.0.1"]
    async with running(response(200)) as port:
        target = Target("http", "tools.lan", port, allows_own=True)
        async with httpx2.AsyncClient(transport=PinnedTransport(target, MAX_BYTES, Failed), trust_env=False) as client:
            assert (await client.get(f"http://tools.lan:{port}/")).status_code == 200
            names["tools.lan"] = ["169.254.169.254"]
            assert (await client.get(f"http://tools.lan:{port}/")).status_code == 200


async def test_an_unknown_name_is_refused(names: dict[str, list[str]]) -> None:
    """A name without an address fails with that reason."""
    target = Target("http", "tools.lan", 80, allows_own=True)
    assert await refusal(target, "http://tools.lan/") == "The name of its host is not found."


async def test_a_dead_address_is_passed_over(names: dict[str, list[str]]) -> None:
    """If the first address does not accept a connection, the next one is tried."""
    names["tools.lan"] = ["127.0.0.2", "127.0.0.1"]
    async with running(response(200)) as port:
        target = Target("http", "tools.lan", port, allows_own=True)
        assert (await get(target, f"http://tools.lan:{port}/")).status_code == 200


async def test_certificates_are_those_of_names(
    names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Over TLS the server must have a trusted certificate of the listed name, although its address is connected to."""
    names["tools.lan"] = names["other.lan"] = ["127.0.0.1"]
    certificate = write_certificate(tmp_path / "certificate.pem", "tools.lan")
    async with running(response(200), certificate) as port:
        target = Target("https", "tools.lan", port, allows_own=True)
        other = target._replace(host="other.lan")
        assert await refusal(target, f"https://tools.lan:{port}/") == "Its certificate is not accepted."
        trusting = ssl.create_default_context(cafile=certificate)
        monkeypatch.setattr(pinned_transport, "_ssl_context", lambda: trusting)
        assert (await get(target, f"https://tools.lan:{port}/")).status_code == 200
        assert await refusal(other, f"https://other.lan:{port}/") == "Its certificate is not accepted."


@pytest.mark.parametrize(
    "url", ["http://other.lan:8000/", "http://tools.lan:8001/", "https://tools.lan:8000/", "http://127.0.0.1:8000/"]
)
async def test_other_hosts_are_refused(url: str) -> None:
    """A request for another host, port or scheme does not leave."""
    target = Target("http", "tools.lan", 8000, allows_own=True)
    assert "another host" in await refusal(target, url)


async def test_a_large_response_is_cut_off() -> None:
    """A body above the limit ends with an error; one at the limit does not."""
    async with running(response(200, {}, b"x" * MAX_BYTES)) as port:
        target = Target("http", "127.0.0.1", port, allows_own=True)
        url = f"http://127.0.0.1:{port}/"
        assert len((await get(target, url)).content) == MAX_BYTES
        with pytest.raises(httpx2.TransportError, match="more than 999 bytes"):
            await get(target, url, MAX_BYTES - 1)
