"""`tools`: how a model writes tool calls."""

import json

import click

from homeport.cli.application import Application
from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, json_flag, print_json
from homeport.domain.models import ToolCheck
from homeport.settings import Settings

_INTRODUCTION = "tools, in the model's own format"
_GENERIC = "none in the template, so tools are described in the system message"


@click.group()
def tools() -> None:
    """Check how a model writes tool calls."""


@tools.command(cls=SettingsCommand)
@click.argument("model")
@json_flag
@click.pass_context
def check(context: click.Context, settings: Settings, model: str, is_json: bool) -> None:
    """Check that the tool calls of an installed model's chat template are written, read and repeated correctly.

    Its template renders a conversation with tools; calls with nested, quoted and non-English arguments are written in
    the format that was derived from it, read in every split, and rendered as history. Nothing is generated. Exits with
    code 1 if a step failed.
    """
    program: Application = application(context)
    result = program.check_tools(settings, model)
    if is_json:
        print_json(result)
    else:
        _print(result)
    if not result.is_good:
        context.exit(1)


def _print(result: ToolCheck) -> None:
    if result.fault:
        echo(f"failed: {result.fault}")
        return
    echo(f"family     {result.family} ({'verified' if result.is_verified else 'unverified'})")
    echo(f"protocol   {_GENERIC if result.is_generic else _INTRODUCTION}")
    for name, mark in result.marks.items():
        echo(f"mark       {name}: {json.dumps(mark, ensure_ascii=False)}")
    echo(f"reasoning  {_reasoning(result)}")
    for step in result.steps:
        echo(f"{'failed' if step.fault else 'ok':<11}{step.name}{f': {step.fault}' if step.fault else ''}")


def _reasoning(result: ToolCheck) -> str:
    if "reasoning_begin" not in result.marks:
        return "none"
    return f"yes, controlled by {result.switch}" if result.switch else "yes, without a switch in the template"
