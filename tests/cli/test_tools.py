"""`tools check`: what it prints and how it exits."""

import json

from click.testing import CliRunner, Result

from homeport.cli import commands
from homeport.domain.models import ToolCheck, ToolCheckStep
from tests.cli.fake_application import FakeApplication

GOOD = ToolCheck(
    family="qwen",
    is_verified=True,
    marks={"begin": "<tool_call>\n", "reasoning_begin": "<think>", "reasoning_end": "</think>"},
    switch="enable_thinking",
    steps=(ToolCheckStep("the tools are in the prompt"),),
)


def run(result: ToolCheck, *flags: str) -> Result:
    program = FakeApplication()
    program.tool_check = result
    return CliRunner().invoke(commands, ["tools", "check", "small", *flags], obj=program)


def test_a_good_model_is_described() -> None:
    """Family, marks, reasoning and each step are printed, and the exit code is 0."""
    result = run(GOOD)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "family     qwen (verified)",
        "protocol   tools, in the model's own format",
        'mark       begin: "<tool_call>\\n"',
        'mark       reasoning_begin: "<think>"',
        'mark       reasoning_end: "</think>"',
        "reasoning  yes, controlled by enable_thinking",
        "ok         the tools are in the prompt",
    ]


def test_a_failed_step_is_exit_code_1() -> None:
    """A failed step is printed with its fault, and the exit code is 1, also with --json."""
    failed = ToolCheck(family="generic", is_generic=True, steps=(ToolCheckStep("a step", "not there: x"),))
    result = run(failed)
    assert result.exit_code == 1
    assert "generic (unverified)" in result.stdout
    assert "described in the system message" in result.stdout
    assert "reasoning  none" in result.stdout
    assert "failed     a step: not there: x" in result.stdout
    as_json = run(failed, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["steps"] == [{"name": "a step", "fault": "not there: x"}]


def test_a_template_that_does_not_work_is_exit_code_1() -> None:
    """A fault of the whole template is the only line."""
    result = run(ToolCheck(fault="The model has no chat template."))
    assert (result.exit_code, result.stdout) == (1, "failed: The model has no chat template.\n")
