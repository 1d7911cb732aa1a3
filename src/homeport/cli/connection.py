"""How commands reach a server: the running one, or one started for the command. Knows no command."""

from collections.abc import Iterator
from contextlib import contextmanager

from homeport.client import http_client
from homeport.client.runfile import RunningServer
from homeport.settings import Settings


def find_server(settings: Settings) -> tuple[RunningServer, str]:
    """Return the running server, and the key to send. Raises Unavailable if none runs."""
    server = http_client.find_server(settings.home, _port(settings))
    return server, _key(settings, server)


@contextmanager
def connect_or_start(settings: Settings, model: str | None) -> Iterator[tuple[RunningServer, str]]:
    """Yield the running server, or one started with `model` that ends with the context, and the key to send."""
    flags = ["--home", str(settings.home), *(["--model", model] if model else [])]
    with http_client.connect_or_start(settings.home, port=_port(settings), flags=flags) as server:
        yield server, _key(settings, server)


def _port(settings: Settings) -> int | None:
    """The port to look on, if one is set: the default one does not exclude servers on others."""
    return settings.port if "port" in settings.origins else None


def _key(settings: Settings, server: RunningServer) -> str:
    return settings.api_keys[0] if settings.api_keys else server.token
