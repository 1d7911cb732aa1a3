"""`open`: the link that it makes, and where it shows it."""

import webbrowser
from pathlib import Path

import pytest

from homeport.cli.open_page import _local_url
from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import ScriptedServer, run


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the browser opens."""
    addresses: list[str] = []

    def open_address(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", open_address)
    return addresses


def test_open_opens_a_fresh_link(
    running: RunningServer, server: ScriptedServer, tmp_path: Path, opened: list[str]
) -> None:
    """`open` asks the server for a link by the run file's token and opens it; the terminal does not show it."""
    result = run(tmp_path, "open")
    assert result.exit_code == 0, result.output
    assert server.requests == [("POST", "/admin/v1/page_links", running.token, None)]
    assert opened == [f"{running.url}/#/link/link-token"]
    assert "link-token" not in result.stdout


def test_open_prints_the_link(running: RunningServer, tmp_path: Path, opened: list[str]) -> None:
    """With --print the link is printed and nothing opened."""
    result = run(tmp_path, "open", "--print")
    assert (result.stdout, opened) == (f"{running.url}/#/link/link-token\n", [])


def test_open_prints_the_link_without_a_browser(
    running: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no browser can be opened, the link is printed."""
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert run(tmp_path, "open").stdout == f"{running.url}/#/link/link-token\n"


def test_open_needs_a_server(tmp_path: Path, opened: list[str]) -> None:
    """Without a running server `open` says how to start one."""
    result = run(tmp_path, "open")
    assert (result.exit_code, opened) == (1, [])
    assert "homeport serve" in result.stderr


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://[::]:8080", "http://[::1]:8080"),
        ("http://192.0.2.1:80", "http://192.0.2.1:80"),
    ],
)
def test_a_server_on_all_addresses_is_opened_on_loopback(url: str, local: str) -> None:
    """An address that stands for all of them is none that a browser can open."""
    assert _local_url(url) == local
