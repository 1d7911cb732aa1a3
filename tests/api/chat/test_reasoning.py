"""How much an answer may think: OpenAI's effort, and the switches of other servers' clients."""

from typing import Any

import pytest

from homeport.domain.text import ChatPrompt
from homeport.domain.tools import Reasoning
from tests.api.text_generation.calls import post, sent_request


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        *(({"reasoning_effort": each}, Reasoning(each)) for each in ("none", "minimal", "low", "medium", "high")),
        ({"reasoning_effort": "xhigh"}, Reasoning("xhigh")),
        ({"reasoning_effort": "max"}, Reasoning("xhigh")),
        ({"reasoning_effort": None}, Reasoning()),
        ({"chat_template_kwargs": {}}, Reasoning()),
        ({"chat_template_kwargs": {"enable_thinking": True}}, Reasoning("high")),
        ({"chat_template_kwargs": {"thinking": False}}, Reasoning("none")),
        ({"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}, Reasoning("none")),
        ({"chat_template_kwargs": {"enable_thinking": True}, "reasoning_effort": "low"}, Reasoning("low")),
        ({"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "none"}, Reasoning("none")),
        ({"thinking_token_budget": 7}, Reasoning(None, 7)),
        ({"thinking_token_budget": 7, "reasoning_effort": "low"}, Reasoning("low", 7)),
        ({"thinking_token_budget": 0}, Reasoning("none")),
        ({"thinking_token_budget": 7, "reasoning_effort": "none"}, Reasoning("none")),
    ],
)
async def test_the_effort_reaches_the_worker(changes: dict[str, Any], expected: Reasoning) -> None:
    """Effort, budget and the templates' variables become one value."""
    (prompt,) = (await sent_request("chat", **changes)).prompts
    assert isinstance(prompt, ChatPrompt)
    assert prompt.reasoning == expected


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"reasoning_effort": 5}, "reasoning_effort"),
        ({"chat_template_kwargs": {"enable_thinking": "yes"}}, "chat_template_kwargs.enable_thinking"),
        ({"chat_template_kwargs": {"mood": 1}}, "chat_template_kwargs.mood"),
        ({"chat_template_kwargs": {"enable_thinking": True, "thinking": False}}, "chat_template_kwargs.thinking"),
        ({"chat_template_kwargs": {"thinking": True}, "reasoning_effort": "none"}, "chat_template_kwargs"),
        ({"chat_template_kwargs": {"thinking": False}, "reasoning_effort": "low"}, "chat_template_kwargs"),
        ({"thinking_token_budget": -1}, "thinking_token_budget"),
        ({"thinking_token_budget": 0, "reasoning_effort": "low"}, "thinking_token_budget"),
    ],
)
async def test_contradictions_and_unknown_values_are_refused(changes: dict[str, Any], param: str) -> None:
    """The error names the field."""
    response = await post("chat", **changes)
    assert (response.status, response.error["param"]) == (400, param)
