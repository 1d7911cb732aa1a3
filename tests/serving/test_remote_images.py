"""Images by URL: fetched from allowed hosts only, within limits of size and time."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeport.domain.allowed_hosts import AllowedHosts
from homeport.domain.ports.remote_images import RemoteImageFailed
from homeport.serving.remote_images import HttpRemoteImages
from tests.tool_server import App, response, running

IMAGE = b"\x89PNG" + bytes(100)


def own(port: int, **options: float) -> HttpRemoteImages:
    return HttpRemoteImages(AllowedHosts([f"http://127.0.0.1:{port}"]), **options)


async def fetched(images: HttpRemoteImages, url: str, target: Path, max_bytes: int = 1000) -> bytes:
    await images.fetch(url, target, max_bytes)
    return await asyncio.to_thread(target.read_bytes)


async def test_an_image_of_an_allowed_host_is_fetched(tmp_path: Path) -> None:
    """What a URL leads to is written to the file."""
    async with running(response(200, {"content-type": "image/png"}, IMAGE)) as port:
        url = f"http://127.0.0.1:{port}/a.png?b=c"
        own(port).check(url)
        assert await fetched(own(port), url, tmp_path / "a") == IMAGE


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (response(404, {}, b"no"), "HTTP status 404"),
        (response(302, {"location": "http://169.254.169.254/"}), "redirects"),
        (response(200, {"content-encoding": "gzip"}, IMAGE), "compressed"),
        (response(200, {}, bytes(1001)), "more than 1000 bytes"),
    ],
    ids=["missing", "redirect", "compressed", "large"],
)
async def test_what_is_no_small_file_is_refused(tmp_path: Path, app: App, said: str) -> None:
    """Errors, redirects, compressed and large responses fail with their reason, which names no URL."""
    async with running(app) as port:
        with pytest.raises(RemoteImageFailed, match=said) as caught:
            await fetched(own(port), f"http://127.0.0.1:{port}/secret", tmp_path / "a")
    assert "secret" not in str(caught.value)
    assert str(port) not in str(caught.value)


async def test_a_slow_host_is_given_up(tmp_path: Path) -> None:
    """A host that does not send the image in time fails."""
    asked = asyncio.Event()

    async def never(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if scope["type"] == "http":
            asked.set()
            while (await receive())["type"] != "http.disconnect":
                pass

    async with running(never) as port:
        with pytest.raises(RemoteImageFailed, match=r"within 0\.3 seconds"):
            await fetched(own(port, timeout_s=0.3), f"http://127.0.0.1:{port}/", tmp_path / "a")
    assert asked.is_set()


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["169.254.169.254"], ["::1"]])
async def test_a_name_with_a_private_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    """A public name that has an address of the own networks is not reached, if every public host is allowed, too."""

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    for entry in ("*", "images.example.com"):
        images = HttpRemoteImages(AllowedHosts([entry]))
        images.check("https://images.example.com/a.png")
        with pytest.raises(RemoteImageFailed, match="address that this server does not connect to"):
            await fetched(images, "https://images.example.com/a.png", tmp_path / "a")


async def test_other_hosts_are_not_reached(tmp_path: Path) -> None:
    """A URL of a host that is not listed is refused before anything is sent."""
    for url in ("https://other.example.com/a.png", "http://127.0.0.1:1/a.png", "file:///etc/passwd"):
        with pytest.raises(ValueError, match=r"\w"):
            own(2).check(url)
        with pytest.raises(ValueError, match=r"\w"):
            await fetched(own(2), url, tmp_path / "a")
