"""Fixtures of a scripted server that the commands find."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.client import runfile
from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import ScriptedServer, serving


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A scripted server."""
    with serving() as started:
        yield started


@pytest.fixture
def running(server: ScriptedServer, tmp_path: Path) -> RunningServer:
    """Its run file, in the home that the commands use."""
    port = server.server_address[1]
    return runfile.publish(tmp_path, f"http://127.0.0.1:{port}", port)
