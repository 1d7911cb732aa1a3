"""Requests of a project that is at its storage limit."""

from typing import Any

import pytest

from homeport.domain.storage import ProjectUsage
from tests.api.responses.calls import PATH, ResponseApp
from tests.api.responses.fakes import FakeCompletionRepository

CHAT = "/v1/chat/completions"


class FullStorage:
    """A storage in which the project `local` is at its limit."""

    def list_all(self) -> list[ProjectUsage]:
        """Return what the project stores."""
        return [ProjectUsage(project="local", files=10, limit=10)]

    def check_room(self, project: str, param: str | None) -> None:
        """Refuse the project."""
        for usage in self.list_all():
            if usage.project == project:
                usage.check(1, param)


@pytest.mark.parametrize(
    ("path", "fields", "is_refused"),
    [
        (PATH, {}, True),
        (PATH, {"stream": True}, True),
        (PATH, {"background": True}, True),
        (PATH, {"store": False}, False),
        (CHAT, {"store": True}, True),
        (CHAT, {"store": True, "stream": True}, True),
        (CHAT, {}, False),
    ],
)
async def test_nothing_is_computed_that_cannot_be_stored(path: str, fields: dict[str, Any], is_refused: bool) -> None:
    """At the limit, what would be stored is a 400 before the model is asked, and what would not be is answered."""
    app = ResponseApp(storage=FullStorage(), completions=FakeCompletionRepository())
    asked = {"input": "Hello"} if path == PATH else {"messages": [{"role": "user", "content": "Hello"}]}
    response = await app.send("POST", path, {"model": "tiny", **asked, **fields})
    assert response.status == (400 if is_refused else 200)
    assert bool(app.serving.requests) != is_refused
    if is_refused:
        assert (response.error["param"], response.error["code"]) == ("store", "storage_limit_exceeded")
