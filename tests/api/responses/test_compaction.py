"""Compacting a conversation."""

from typing import Any

import pytest

from homeport.api.responses.summaries import INSTRUCTION, MAX_SUMMARY_TOKENS
from homeport.domain.tools import Reasoning
from tests.api.fakes import FakeServing, answer
from tests.api.responses.calls import PATH, ResponseApp


async def test_a_conversation_becomes_its_questions_and_a_summary() -> None:
    """The user's messages stay as they are, and the rest becomes a sealed summary, which a later response reads."""
    app = ResponseApp(FakeServing(lambda _: answer("They greeted each other")))
    items = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Good day"},
        {"role": "user", "content": "What now?"},
    ]
    response = await app.send("POST", f"{PATH}/compact", {"model": "tiny", "input": items})
    body = response.json
    assert (body["object"], body["usage"]["total_tokens"]) == ("response.compaction", 9)
    *kept, summary = body["output"]
    assert [part["text"] for each in kept for part in each["content"]] == ["Hello", "What now?"]
    assert (summary["type"], "greeted" in summary["encrypted_content"]) == ("compaction", False)
    assert app.last_texts[-1] == ("user", INSTRUCTION)
    assert app.last_prompt.reasoning == Reasoning("none")
    assert app.last_request.stopping.default_tokens == MAX_SUMMARY_TOKENS
    assert not app.responses.responses
    await app.answer(input=[*body["output"], {"role": "user", "content": "Go on"}])
    assert "They greeted each other" in dict(app.last_texts)["developer"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
        ({"tools": []}, "tools"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """A bad value is a 400 that names the field."""
    app = ResponseApp()
    response = await app.send("POST", f"{PATH}/compact", {"model": "tiny", "input": "Hello", **fields})
    assert (response.status, response.error["param"]) == (400, param)
