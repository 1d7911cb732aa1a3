"""Applications whose scripted model uses the tools of an MCP server, and what tests send and read."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from homeport.api.responses.tool_names import mcp_name
from homeport.domain.allowed_hosts import AllowedHosts
from homeport.domain.content import ToolResultPart
from homeport.domain.worker_messages import EngineRequest
from homeport.serving.mcp.client import HttpMcpClient
from homeport.serving.mcp.limits import McpLimits
from tests import openai_schemas
from tests.api.asgi import AsgiResponse
from tests.api.fakes import FakeServing, Script, answer
from tests.api.responses.calls import ResponseApp, calling

ADD = calling("tests__add", '{"a": 2, "b": 3}')
LIMITS = McpLimits(list_s=30.0, call_s=30.0, close_s=1.0)
DELETE_NAME = mcp_name("files.delete", "tests")


class ScriptedModel:
    """Answers with its scripts, one after the other, then with text."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)

    def __call__(self, _: EngineRequest) -> Script:
        return self._scripts.pop(0) if self._scripts else answer("Done")


def app_of(url: str, *scripts: Script, limits: McpLimits = LIMITS) -> ResponseApp:
    """Return an application that may reach the server at `url`; its model plays scripts."""
    client = HttpMcpClient(AllowedHosts([urlsplit(url).netloc]), limits)
    return ResponseApp(FakeServing(ScriptedModel(*scripts)), mcp=client)


def mcp(url: str, **fields: Any) -> dict[str, Any]:
    """Return the declaration of a server whose calls need no approval, with some fields changed."""
    return {"type": "mcp", "server_label": "tests", "server_url": url, "require_approval": "never", **fields}


def events_of(response: AsgiResponse) -> list[dict[str, Any]]:
    """Return the events of a stream, each of which is checked."""
    assert response.status == 200, response.body
    lines = response.body.decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    for number, event in enumerate(events):
        openai_schemas.check_event(event)
        assert event["sequence_number"] == number
    return events


def results_of(app: ResponseApp) -> Sequence[str]:
    """Return the tools' results that the model's last prompt has."""
    messages = app.last_prompt.messages
    return [part.text for message in messages for part in message.parts if isinstance(part, ToolResultPart)]
