"""`run` and `embed`: a chat in the terminal, and the embeddings of texts."""

import sys

import click

from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand
from homeport.cli.output import echo, json_flag, print_json
from homeport.client import http_client
from homeport.settings import Settings


@click.command(cls=SettingsCommand, settings=("home", "port", "default_model"))
@click.argument("model", required=False)
@click.option("--system", help="System message.")
def run(settings: Settings, model: str | None, system: str | None) -> None:
    """Chat in the terminal. Ctrl-D ends the chat.

    The command uses the running server, or starts one for itself.
    """
    name = model or settings.default_model or "gpt-3.5-turbo"
    messages = [{"role": "system", "content": system}] if system else []
    with connect_or_start(settings, model) as (server, key):
        while (line := _read_line()) is not None:
            messages.append({"role": "user", "content": line})
            answer = ""
            for piece in http_client.chat(server, key, name, messages):
                echo(piece, nl=False)
                answer += piece
            echo()
            messages.append({"role": "assistant", "content": answer})


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option("--model", default="multilingual-e5-small", show_default=True, help="Embedding model.")
@json_flag
def embed(settings: Settings, texts: tuple[str, ...], model: str, is_json: bool) -> None:
    """Print the embedding of each TEXT as a line of numbers.

    Without TEXT, each line of standard input is a text. With --json, the server's whole answer is printed. The command
    uses the running server, or starts one for itself.
    """
    inputs = texts or tuple(line.rstrip("\n") for line in sys.stdin if line.strip())
    with connect_or_start(settings, model) as (server, key):
        answer = http_client.embed(server, key, model, inputs)
    if is_json:
        print_json(answer)
        return
    for vector in answer["data"]:
        echo(" ".join(str(number) for number in vector["embedding"]))


def _read_line() -> str | None:
    """Read the next line that is not blank; None at the end of the input."""
    if sys.stdin.isatty():
        echo("> ", nl=False, err=True)
    for line in sys.stdin:
        if line.strip():
            return line.rstrip("\n")
    return None
