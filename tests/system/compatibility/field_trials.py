"""Tries fields on a running server: the plain request of an endpoint, and what a field changes in it.

An effect sends real requests and returns nothing; it raises AssertionError if the field has no effect. Fields are
judged one at a time against the endpoint's plain request. Knows nothing of any endpoint.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.system.server import HttpAnswer, ServerProcess


class EndpointTrial:
    """Sends an endpoint's plain request with some fields changed."""

    def __init__(self, server: ServerProcess, probes: "Probes") -> None:
        self.server = server
        self.probes = probes

    def raw(self, **changed: Any) -> HttpAnswer:
        """Return the answer as it is. A field set to `...` is left out."""
        body = {**self.probes.plain, **changed}
        return self.send({k: v for k, v in body.items() if v is not ...})

    def send(self, body: dict[str, Any]) -> HttpAnswer:
        """Send a body as JSON; endpoints that take forms send it as one."""
        return self.server.call("POST", self.probes.path, body)

    def ask(self, **changed: Any) -> Any:
        """Return the body of a 200."""
        answer = self.raw(**changed)
        assert answer.status == 200, answer.body
        return answer.json()


Effect = Callable[[Any], None]
"""Takes the trial of its endpoint."""


@dataclass(frozen=True)
class Probes:
    """What is sent to one endpoint. Names of `effects`, `accepted` and `refused` are those of its compatibility notes.

    `accepted`: a value that passes and changes nothing; of a field inside another, changes to the plain request.
    `refused`: changes to the plain request that ask for something, and so must be a 400 naming the field.
    """

    path: str
    plain: Mapping[str, Any]
    effects: Mapping[str, Effect]
    accepted: Mapping[str, Any] = field(default_factory=dict)
    refused: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    trial_type: type[EndpointTrial] = EndpointTrial
