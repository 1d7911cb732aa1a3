"""Counting the tokens of a prompt."""

from typing import Any

import pytest

from homeport.domain.events import Admitted, Done, TokenizeResult, Usage
from homeport.domain.text import ChatPrompt, TokenRequest
from tests.api.fakes import FakeServing
from tests.api.responses.calls import FUNCTION, PATH, ResponseApp


def counting_app(n_tokens: int = 7) -> ResponseApp:
    """Make an application whose model tokenizes everything to this many tokens."""
    return ResponseApp(
        FakeServing(lambda _: [[Admitted(0)], [TokenizeResult(ids=tuple(range(n_tokens)))], [Done(Usage())]])
    )


async def test_the_prompt_of_a_response_is_counted() -> None:
    """Instructions, input and tools are counted as they would be sent, also under OpenAI's names."""
    app = counting_app()
    body = {"model": "gpt-3.5-turbo", "input": "Hello", "instructions": "Be kind.", "tools": [FUNCTION]}
    response = await app.send("POST", f"{PATH}/input_tokens", body)
    assert response.json == {"object": "response.input_tokens", "input_tokens": 7}
    ((_, request),) = app.serving.requests
    assert isinstance(request, TokenRequest)
    assert request.encoding is None
    [prompt] = request.prompts
    assert isinstance(prompt, ChatPrompt)
    assert [message.text for message in prompt.messages] == ["Be kind.", "Hello"]
    assert prompt.tools is not None
    assert [tool.name for tool in prompt.tools.tools] == ["add"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"personality": "friendly"}, "personality"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"previous_response_id": "r", "conversation": "c"}, "previous_response_id"),
        ({"text": {"verbosity": "x"}}, "text.verbosity"),
        ({"store": True}, "store"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """A bad value is a 400 that names the field."""
    app = counting_app()
    response = await app.send("POST", f"{PATH}/input_tokens", {"model": "tiny", "input": "Hello", **fields})
    assert (response.status, response.error["param"]) == (400, param)
    assert not app.serving.requests
