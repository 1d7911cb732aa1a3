"""The check of a template's tool calls passes for good templates and names what is wrong with others."""

import pytest

from homeport.engines.text.templates import tool_check
from tests.engines.text import families, real_templates

ECHOES = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | upper }}<|im_end|>\n{% endfor %}"
"""A template that changes every text."""


@pytest.mark.parametrize(
    "name", ["gemma-4", "gpt-oss", "kimi-k2", "mistral-small-3.2", "qwen3", "qwen3-coder", "smollm3"]
)
def test_real_templates_pass(name: str) -> None:
    """Every step passes for the real templates of different families."""
    result = tool_check.check(real_templates.read(name))
    assert result.is_good, result.steps
    assert len(result.steps) == 4


def test_the_report_describes_the_format() -> None:
    """It holds the family, the marks of calls and of reasoning, the switch, and whether the protocol is generic."""
    qwen = tool_check.check(real_templates.read("qwen3"))
    assert (qwen.family, qwen.is_verified, qwen.is_generic, qwen.switch) == ("qwen", True, False, "enable_thinking")
    assert qwen.marks == {
        "begin": '<tool_call>\n{"name": "',
        "name_end": '", "arguments": ',
        "end": "}\n</tool_call>",
        "separator": "\n",
        "arguments": "Json",
        "reasoning_begin": "<think>",
        "reasoning_end": "</think>",
    }
    assert not tool_check.check(families.MARKED).is_verified
    assert tool_check.check(real_templates.read("smollm2")).is_generic


def test_a_broken_template_has_a_fault() -> None:
    """A template that does not compile is a fault."""
    result = tool_check.check("{% for m in")
    assert "template is broken" in result.fault
    assert not result.is_good


def test_a_failed_step_says_what_is_missing() -> None:
    """The steps of a template that rewrites texts fail, with the reason of the refusal."""
    result = tool_check.check(ECHOES)
    assert not result.is_good
    assert "refused (The model's chat template has no place for a message" in result.steps[0].fault
    assert [bool(each.fault) for each in result.steps] == [True, False, True, True]


def test_calls_that_the_parser_misreads_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a call is read otherwise than it was written, the step says how it was read."""
    monkeypatch.setattr(tool_check, "write_calls", lambda *_: "no call")
    result = tool_check.check(real_templates.read("qwen2.5"))
    assert [each.fault for each in result.steps if each.fault] == ["read as ('no call', '', [])"]
