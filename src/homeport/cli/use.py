"""`use`: the model that OpenAI's text model names stand for."""

import sys

import click

from homeport.cli.application import Application
from homeport.cli.models import HUBS, KERNELS, fetch
from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, human_size, json_flag, print_json
from homeport.client import http_client, runfile
from homeport.domain.errors import HomeportError, InvalidRequest, ModelNotFound
from homeport.domain.model_choices import DefaultModel
from homeport.settings import Settings

_OPENAI_NAME = "gpt-4"
"""Any of OpenAI's text model names: a server is asked for it, to see which model it stands for."""


@click.command(cls=SettingsCommand, settings=(*HUBS, *KERNELS))
@click.argument("model", required=False)
@click.option("--yes", "is_confirmed", is_flag=True, help="Pull a missing model without asking.")
@json_flag
@click.pass_context
def use(context: click.Context, settings: Settings, model: str | None, is_confirmed: bool, is_json: bool) -> None:
    """Make MODEL the default: the one that OpenAI's text model names (gpt-4, ...), and Anthropic's, stand for.

    A missing model is pulled. The choice is recorded in the home folder, and a running server follows it without a
    restart, unless the settings `default_model` or `models` name another. Without MODEL, the current default is shown.
    """
    program = application(context)
    if model is not None:
        name = _install(program, settings, model, is_confirmed)
        program.record_default_model(settings, name)
    current = program.default_model(settings)
    if is_json:
        print_json(current)
    elif model is None:
        echo(_describe(current))
    else:
        echo(f"{name} is the default model now")
        if current and current.name != name:
            echo(f"but here {current.reason} names {current.name}, which comes first", err=True)
        _report_server(program, settings, name)


def _install(program: Application, settings: Settings, reference: str, is_confirmed: bool) -> str:
    """Pull a model unless it is installed, after its size was shown and, on a terminal, confirmed; return its name."""
    if any(installed.facts.name == reference for installed in program.list_models(settings)):
        return reference
    choices = program.list_catalogue(settings)
    if sizes := choices.of_family(reference):
        names = ", ".join(choice.name for choice in sizes)
        raise InvalidRequest(f"`{reference}` is a family of models: choose one of {names}.")
    choice = next((each for each in choices.models if each.name == reference), None)
    size = human_size(choice.file_bytes) if choice and choice.file_bytes else "size unknown"
    echo(f"{reference} is not installed ({size}).", err=True)
    if not is_confirmed and _is_interactive():
        click.confirm("Pull it now?", default=True, abort=True, err=True)
    return fetch(program, settings, reference).facts.name


def _is_interactive() -> bool:
    return sys.stdin.isatty()


def _describe(current: DefaultModel | None) -> str:
    if current is None:
        return "No text model is installed. Run `homeport serve`, or `homeport use qwen2.5-coder-1.5b`."
    return f"{current.name} ({current.reason})"


def _report_server(program: Application, settings: Settings, name: str) -> None:
    """Say whether a running server follows: it loads the model, or the base model of a fine-tuned one."""
    server = runfile.find(settings.home)
    if server is None:
        return
    loads = next((each.parent or name for each in program.list_models(settings) if each.facts.name == name), name)
    try:
        served = http_client.request_json(server, server.token, "GET", f"/v1/models/{_OPENAI_NAME}")["root"]
    except ModelNotFound:
        served = None
    except HomeportError as error:
        echo(f"The server at {server.url} does not answer ({error}): restart it.", err=True)
        return
    if served == loads:
        echo(f"The server at {server.url} uses it from its next request on")
    else:
        echo(f"The server at {server.url} keeps {served or 'another model'}: restart it without --model.", err=True)
