"""A server that the commands find: the fixtures of all that talk to one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.client import runfile
from homeport.client.runfile import Running
from tests.cli.scripted_server import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    """The server."""
    with serving() as started:
        yield started


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Running:
    """Its file, in the home that the commands are given."""
    port = server.server_address[1]
    return runfile.publish(tmp_path, f"http://127.0.0.1:{port}", port)
