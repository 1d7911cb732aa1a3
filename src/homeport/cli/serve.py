"""`serve`, `ps`, `stop`, `run` and `embed`: the server, what it has in memory, and what it is asked from a terminal."""

import sys

import click

from homeport.cli.application import Application
from homeport.cli.models import fetch
from homeport.cli.options import EVERY, Configured, application
from homeport.cli.output import echo, human_size, json_flag, print_json, print_table, shortened
from homeport.client import http_client
from homeport.client.runfile import Running
from homeport.domain.errors import HomeportError
from homeport.domain.operations import Announcement
from homeport.settings import Settings


@click.command(cls=Configured, settings=EVERY)
@click.pass_context
def serve(context: click.Context, settings: Settings) -> None:
    """Serve the API; fetch the models first that are missing.

    Keys are set by HOMEPORT_API_KEYS or in the YAML file, never by a flag: other users can read flags.
    SIGTERM or Ctrl-C lets running requests finish, a second one ends at once.
    """
    program = application(context)
    _fetch_missing(program, settings)
    program.serve(settings, _announce)


def _fetch_missing(program: Application, settings: Settings) -> None:
    """What was asked for by name must be there; of the starters whatever can be had is served."""
    for name in program.missing(settings):
        try:
            fetch(program, settings, name)
        except HomeportError as error:
            if name in settings.models or not program.installed(settings):
                raise
            echo(f"Going on without {name}: {error}", err=True)


@click.command(cls=Configured, settings=("home", "port"))
@json_flag
def ps(settings: Settings, is_json: bool) -> None:
    """List the models in the running server's memory."""
    found = http_client.workers(_running(settings))
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


@click.command(cls=Configured, settings=("home", "port"))
@click.argument("model")
def stop(settings: Settings, model: str) -> None:
    """Unload a model from the running server's memory."""
    http_client.stop(_running(settings), model)
    echo(f"{model} is unloaded")


@click.command(cls=Configured, settings=("home", "port", "default_model"))
@click.argument("model", required=False)
@click.option("--system", help="A system message to begin with.")
def run(settings: Settings, model: str | None, system: str | None) -> None:
    """Chat in the terminal, with the running server or one started for it. Ctrl-D ends it."""
    name = model or settings.default_model or "gpt-3.5-turbo"
    port = settings.port if "port" in settings.origins else None
    flags = ["--home", str(settings.home), *(["--model", model] if model else [])]
    messages = [{"role": "system", "content": system}] if system else []
    with http_client.reach(settings.home, port=port, flags=flags) as running:
        key = settings.api_keys[0] if settings.api_keys else running.token
        while (line := _ask()) is not None:
            messages.append({"role": "user", "content": line})
            answer = ""
            for piece in http_client.chat(running, key, name, messages):
                echo(piece, nl=False)
                answer += piece
            echo()
            messages.append({"role": "assistant", "content": answer})


@click.command(cls=Configured, settings=("home", "port"))
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option("--model", default="multilingual-e5-small", show_default=True, help="An embedding model's name.")
@json_flag
def embed(settings: Settings, texts: tuple[str, ...], model: str, is_json: bool) -> None:
    """Print the vector of each TEXT as one line of numbers, by the running server or one started for it.

    Without a TEXT each line of standard input is one. With --json the server's whole answer is printed.
    """
    wanted = texts or tuple(line.rstrip("\n") for line in sys.stdin if line.strip())
    port = settings.port if "port" in settings.origins else None
    flags = ["--home", str(settings.home), "--model", model]
    with http_client.reach(settings.home, port=port, flags=flags) as running:
        key = settings.api_keys[0] if settings.api_keys else running.token
        answer = http_client.embed(running, key, model, wanted)
    if is_json:
        print_json(answer)
        return
    for vector in answer["data"]:
        echo(" ".join(str(number) for number in vector["embedding"]))


def _ask() -> str | None:
    """Read a line that says something; None at the end of the input."""
    if sys.stdin.isatty():
        echo("> ", nl=False, err=True)
    for line in sys.stdin:
        if line.strip():
            return line.rstrip("\n")
    return None


def _running(settings: Settings) -> Running:
    return http_client.found(settings.home, settings.port if "port" in settings.origins else None)


def _announce(up: Announcement) -> None:
    echo(f"Homeport listens on {up.url}/v1\n")
    echo(f"  export OPENAI_BASE_URL={up.url}/v1")
    echo(f"  export OPENAI_API_KEY={up.key or 'homeport'}\n")
    echo(f"  models   {', '.join(up.models)}")
    if up.tuned:
        echo(f"  tuned    {up.tuned} more, fine-tuned from these (all: homeport list)")
    for model in dict.fromkeys(up.aliases.values()):
        names = [name for name, target in up.aliases.items() if target == model]
        echo(f"  aliases  {shortened(names)} -> {model} (all: homeport list --aliases)")
    echo(f"  kernels  {up.kernels}")
    for note in up.notes:
        echo(f"  note     {note}")
