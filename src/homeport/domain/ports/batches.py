"""What runs the requests of batches. `app` connects the implementations."""

from typing import Protocol

from homeport.domain.batches import DispatchedResponse


class RequestDispatcher(Protocol):
    """Runs a request as if it came over the network, as a background request, and returns the whole response."""

    async def __call__(self, project: str, key: str, path: str, body: bytes) -> DispatchedResponse:
        """POST a JSON body to a path, in the name of a project and of the stored key with this id (empty: none)."""
        ...
