"""`embed`: the embeddings of texts and images."""

import sys
from pathlib import Path

import click

from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, json_flag, print_json
from homeport.client import http_client
from homeport.settings import Settings

_TEXT_MODEL = "multilingual-e5-small"
_SHORT = 4  # numbers of a vector that are shown with --short


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option(
    "--image",
    "images",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Image file (png, jpeg, webp or gif); may be repeated.",
)
@click.option(
    "--model", help=f"Embedding model; default: {_TEXT_MODEL}, or with --image an installed model that embeds images."
)
@click.option("--short", "is_short", is_flag=True, help="Print the number of dimensions and the first numbers.")
@json_flag
@click.pass_context
def embed(
    context: click.Context,
    /,
    settings: Settings,
    texts: tuple[str, ...],
    images: tuple[Path, ...],
    model: str | None,
    *,
    is_short: bool,
    is_json: bool,
) -> None:
    """Print the embedding of each TEXT, then of each image, as a line of numbers.

    Without TEXT and --image, each line of standard input is a text. With --json, the server's whole answer is printed.
    The command uses the running server, or starts one for itself.
    """
    inputs: list[object] = [*texts, *(http_client.image_part(file.read_bytes()) for file in images)]
    if not inputs:
        inputs = [line.rstrip("\n") for line in sys.stdin if line.strip()]
    if model is None:
        model = application(context).image_embedding_model(settings) if images else _TEXT_MODEL
    with connect_or_start(settings, model) as (server, key):
        answer = http_client.embed(server, key, model, inputs)
    if is_json:
        print_json(answer)
        return
    for vector in answer["data"]:
        echo(_format(vector["embedding"], is_short=is_short))


def _format(numbers: list[float], *, is_short: bool) -> str:
    if not is_short:
        return " ".join(str(number) for number in numbers)
    return f"{len(numbers)} numbers: {' '.join(f'{number:.4f}' for number in numbers[:_SHORT])} …"
