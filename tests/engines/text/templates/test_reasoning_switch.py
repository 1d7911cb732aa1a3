"""Reasoning is turned on and off by the variables that a template reads."""

import pytest

from homeport.domain.tools import Reasoning
from homeport.engines.text.answers.answer_format import ReasoningFormat
from homeport.engines.text.templates.reasoning_switch import ReasoningSwitch, empty_thought, find_switch
from homeport.engines.text.templates.turns import TurnStyle
from tests.engines.text import real_templates

THINK = ReasoningFormat("<think>", "</think>")


@pytest.mark.parametrize(
    ("name", "switch"),
    [
        ("qwen3", ReasoningSwitch("enable_thinking", True, False)),
        ("glm-4.6", ReasoningSwitch("enable_thinking", True, False)),
        ("smollm3", ReasoningSwitch("enable_thinking", True, False)),
        ("granite-3.3", ReasoningSwitch("thinking", True, False)),
        ("seed-oss", ReasoningSwitch("thinking_budget", -1, 0)),
        ("gpt-oss", ReasoningSwitch(efforts=("low", "medium", "high"))),
        ("qwen2.5", ReasoningSwitch()),
        ("ministral-3-reasoning", ReasoningSwitch()),
    ],
)
def test_the_switch_of_a_real_template(name: str, switch: ReasoningSwitch) -> None:
    """The variable is the one that makes a difference to the prompt."""
    assert find_switch(real_templates.probe(name), TurnStyle(), real_templates.read(name)) == switch


def test_efforts_become_variables() -> None:
    """No effort is the template's default, `none` turns reasoning off, and others are the nearest accepted one."""
    switch = ReasoningSwitch("enable_thinking", True, False, ("low", "high"))
    assert switch.variables(Reasoning()) == {}
    assert switch.variables(Reasoning("none")) == {"enable_thinking": False}
    for effort, expected in (
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "low"),
        ("high", "high"),
        ("xhigh", "high"),
    ):
        assert switch.variables(Reasoning(effort)) == {"enable_thinking": True, "reasoning_effort": expected}
    assert ReasoningSwitch("thinking", True, False).variables(Reasoning("low")) == {"thinking": True}
    assert ReasoningSwitch(efforts=("low", "high")).variables(Reasoning("none")) == {"reasoning_effort": "low"}
    assert ReasoningSwitch().variables(Reasoning("high")) == {}
    assert switch.name == "enable_thinking, reasoning_effort"


@pytest.mark.parametrize(
    ("prompt", "end"),
    [
        ("<|assistant|>", "<think>\n\n</think>\n\n"),
        ("<|assistant|><think>\n", "\n</think>\n\n"),
        ("<|assistant|><think>", "\n\n</think>\n\n"),
        ("<|assistant|><think>\n\n</think>\n\n", ""),
    ],
)
def test_an_empty_thought_ends_reasoning(prompt: str, end: str) -> None:
    """A prompt that leaves room for reasoning is completed by a closed, empty thought."""
    assert empty_thought(THINK, prompt) == end
