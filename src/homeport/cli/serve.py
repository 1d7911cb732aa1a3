"""`serve`, `ps` and `stop`: the server and the models in its memory."""

import click

from homeport.cli.application import Application
from homeport.cli.connection import find_server
from homeport.cli.models import fetch
from homeport.cli.options import ALL_SETTINGS, SettingsCommand, application
from homeport.cli.output import echo, human_size, json_flag, print_json, print_table, shorten_list
from homeport.client import http_client
from homeport.domain.errors import HomeportError
from homeport.domain.model_choices import ModelOffer
from homeport.domain.operations import Announcement, WorkerReport
from homeport.settings import Settings


@click.command(cls=SettingsCommand, settings=ALL_SETTINGS)
@click.pass_context
def serve(context: click.Context, settings: Settings) -> None:
    """Serve the API. Missing models are pulled first.

    Set keys by HOMEPORT_API_KEYS or in the YAML file; there is no flag for them, because other users can read flags.
    On SIGTERM or Ctrl-C the server finishes running requests; a second one ends it at once.
    """
    program = application(context)
    _fetch_missing(program, settings)
    program.serve(settings, _print_announcement)


def _fetch_missing(program: Application, settings: Settings) -> None:
    """Pull missing models. A model that the settings name must be available; a starter may be skipped."""
    for name in program.missing_models(settings):
        try:
            fetch(program, settings, name)
        except HomeportError as error:
            if name in settings.models or not program.list_models(settings):
                raise
            echo(f"Continuing without {name}: {error}", err=True)


@click.command(cls=SettingsCommand, settings=("home", "port"))
@json_flag
def ps(settings: Settings, is_json: bool) -> None:
    """List the models in the running server's memory."""
    workers = http_client.list_workers(find_server(settings)[0])
    if is_json:
        print_json(workers)
        return
    rows = [
        (
            worker.model,
            worker.state,
            str(worker.pid or "-"),
            human_size(worker.memory_bytes),
            _device(worker),
            f"{worker.running} + {worker.waiting}",
            f"{worker.cells_used} / {worker.cells}",
            f"{worker.idle_s:.0f} s",
        )
        for worker in workers
    ]
    print_table(("MODEL", "STATE", "PID", "MEMORY", "DEVICE", "RUNNING + WAITING", "CELLS", "IDLE"), rows)


def _device(worker: WorkerReport) -> str:
    """Where a worker computes: `cpu`, or the names of GPUs and the memory that it takes there."""
    names = worker.device.partition(":")[0] or "-"
    return f"{names} {human_size(worker.device_bytes)}" if worker.device_bytes else names


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("model")
def stop(settings: Settings, model: str) -> None:
    """Unload a model from the running server's memory."""
    http_client.stop(find_server(settings)[0], model)
    echo(f"{model} is unloaded")


def _print_announcement(announcement: Announcement) -> None:
    echo(f"Homeport listens on {announcement.url}/v1\n")
    echo(f"  export OPENAI_BASE_URL={announcement.url}/v1")
    echo(f"  export OPENAI_API_KEY={announcement.key or 'homeport'}\n")
    if announcement.page:
        echo(f"  page     {announcement.page}  (signed in: homeport open)")
    echo(f"  models   {', '.join(announcement.models)}")
    if announcement.n_fine_tuned:
        echo(f"  tuned    {announcement.n_fine_tuned} more, fine-tuned from these (all: homeport list)")
    for model in dict.fromkeys(announcement.aliases.values()):
        names = [name for name, target in announcement.aliases.items() if target == model]
        echo(f"  aliases  {shorten_list(names)} -> {model} (all: homeport list --aliases)")
    if announcement.offer:
        echo(f"  larger   {_describe_offer(announcement.offer)}")
    echo(f"  kernels  {announcement.kernels}")
    for note in announcement.notes:
        echo(f"  note     {note}")


def _describe_offer(offer: ModelOffer) -> str:
    size = "installed" if offer.is_installed else human_size(offer.file_bytes or 0)
    return f"{offer.name} ({size}) answers better; to make it the default: homeport use {offer.name}"
