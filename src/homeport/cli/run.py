"""`homeport run` and `homeport embed`: a chat in the terminal, and vectors of texts."""

import sys

import click

from homeport.cli.options import SettingsCommand
from homeport.cli.output import (
    echo,
    json_flag,
    print_json,
)
from homeport.client import http_client
from homeport.settings import Settings


@click.command(cls=SettingsCommand, settings=("home", "port", "default_model"))
@click.argument("model", required=False)
@click.option("--system", help="A system message to begin with.")
def run(settings: Settings, model: str | None, system: str | None) -> None:
    """Chat in the terminal, with the running server or one started for it. Ctrl-D ends it."""
    name = model or settings.default_model or "gpt-3.5-turbo"
    port = settings.port if "port" in settings.origins else None
    flags = ["--home", str(settings.home), *(["--model", model] if model else [])]
    messages = [{"role": "system", "content": system}] if system else []
    with http_client.connect_or_start(settings.home, port=port, flags=flags) as running:
        key = settings.api_keys[0] if settings.api_keys else running.token
        while (line := _read_line()) is not None:
            messages.append({"role": "user", "content": line})
            answer = ""
            for piece in http_client.chat(running, key, name, messages):
                echo(piece, nl=False)
                answer += piece
            echo()
            messages.append({"role": "assistant", "content": answer})


@click.command(cls=SettingsCommand, settings=("home", "port"))
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
    with http_client.connect_or_start(settings.home, port=port, flags=flags) as running:
        key = settings.api_keys[0] if settings.api_keys else running.token
        answer = http_client.embed(running, key, model, wanted)
    if is_json:
        print_json(answer)
        return
    for vector in answer["data"]:
        echo(" ".join(str(number) for number in vector["embedding"]))


def _read_line() -> str | None:
    """Read a line that says something; None at the end of the input."""
    if sys.stdin.isatty():
        echo("> ", nl=False, err=True)
    for line in sys.stdin:
        if line.strip():
            return line.rstrip("\n")
    return None
