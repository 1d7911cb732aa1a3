"""The sockets between who keeps batches, who works on them and who runs their requests. `app` plugs them together."""

from typing import Protocol

from homeport.domain.batches import (
    DispatchedResponse,
)


class RequestDispatcher(Protocol):
    """Runs a request as if it had come over the network, in the background, and gives the whole answer."""

    async def __call__(self, project: str, key: str, path: str, body: bytes) -> DispatchedResponse:
        """POST a JSON body to a path, in the name of a project and of the stored key with this id (empty: none)."""
        ...


class IdleGate(Protocol):
    """Tells when background work may begin: while nobody waits."""

    async def wait_open(self) -> None:
        """Wait until work may begin."""
        ...
