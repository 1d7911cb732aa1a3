"""`serve`, `ps`, `stop`, `run` and `embed`: the server, what it has in memory, and what it is asked from a terminal."""

import click

from homeport.cli.application import Application
from homeport.cli.models import fetch
from homeport.cli.options import ALL_SETTINGS, SettingsCommand, application
from homeport.cli.output import (
    echo,
    human_size,
    json_flag,
    print_json,
    print_table,
    shorten_list,
)
from homeport.client import http_client
from homeport.client.runfile import RunningServer
from homeport.domain.errors import HomeportError
from homeport.domain.operations import Announcement
from homeport.settings import Settings


@click.command(cls=SettingsCommand, settings=ALL_SETTINGS)
@click.pass_context
def serve(context: click.Context, settings: Settings) -> None:
    """Serve the API; fetch the models first that are missing.

    Keys are set by HOMEPORT_API_KEYS or in the YAML file, never by a flag: other users can read flags.
    SIGTERM or Ctrl-C lets running requests finish, a second one ends at once.
    """
    program = application(context)
    _fetch_missing(program, settings)
    program.serve(settings, _print_announcement)


def _fetch_missing(program: Application, settings: Settings) -> None:
    """What was asked for by name must be there; of the starters whatever can be had is served."""
    for name in program.missing_models(settings):
        try:
            fetch(program, settings, name)
        except HomeportError as error:
            if name in settings.models or not program.list_models(settings):
                raise
            echo(f"Going on without {name}: {error}", err=True)


@click.command(cls=SettingsCommand, settings=("home", "port"))
@json_flag
def ps(settings: Settings, is_json: bool) -> None:
    """List the models in the running server's memory."""
    found = http_client.list_workers(_find_running_server(settings))
    if is_json:
        print_json(found)
        return
    rows = [
        (
            worker.model,
            worker.state,
            str(worker.pid or "-"),
            human_size(worker.memory_bytes),
            f"{worker.running} + {worker.waiting}",
            f"{worker.cells_used} / {worker.cells}",
            f"{worker.idle_s:.0f} s",
        )
        for worker in found
    ]
    print_table(("MODEL", "STATE", "PID", "MEMORY", "RUNNING + WAITING", "CELLS", "IDLE"), rows)


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("model")
def stop(settings: Settings, model: str) -> None:
    """Unload a model from the running server's memory."""
    http_client.stop(_find_running_server(settings), model)
    echo(f"{model} is unloaded")


def _find_running_server(settings: Settings) -> RunningServer:
    return http_client.find_server(settings.home, settings.port if "port" in settings.origins else None)


def _print_announcement(up: Announcement) -> None:
    echo(f"Homeport listens on {up.url}/v1\n")
    echo(f"  export OPENAI_BASE_URL={up.url}/v1")
    echo(f"  export OPENAI_API_KEY={up.key or 'homeport'}\n")
    echo(f"  models   {', '.join(up.models)}")
    if up.tuned:
        echo(f"  tuned    {up.tuned} more, fine-tuned from these (all: homeport list)")
    for model in dict.fromkeys(up.aliases.values()):
        names = [name for name, target in up.aliases.items() if target == model]
        echo(f"  aliases  {shorten_list(names)} -> {model} (all: homeport list --aliases)")
    echo(f"  kernels  {up.kernels}")
    for note in up.notes:
        echo(f"  note     {note}")
