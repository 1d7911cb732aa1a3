"""`search`: the images of a folder that a text, or another image, describes best."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, json_flag, print_json, print_picture, steps
from homeport.cli.thumbnails import METHODS, Method, choose_method, largest_size, render
from homeport.client import http_client
from homeport.client.image_index import FoundImage, ImageIndex
from homeport.client.image_search import ImageEmbedder
from homeport.domain.errors import InvalidRequest
from homeport.settings import Settings, terminal_program

_AUTO = "auto"


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("query", metavar="[TEXT]", required=False)
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Find images like this one, in place of TEXT.",
)
@click.option(
    "-n", "--number", type=click.IntRange(1, 1000), default=10, show_default=True, help="Number of images to print."
)
@click.option("--model", help="Model that embeds images; default: an installed one.")
@click.option(
    "--thumbnails",
    "method",
    type=click.Choice((_AUTO, *METHODS)),
    default=_AUTO,
    show_default=True,
    help="How thumbnails are shown; auto: as the terminal can, none if the output is not a terminal.",
)
@json_flag
@click.pass_context
def search(
    context: click.Context,
    /,
    settings: Settings,
    folder: Path,
    query: str | None,
    image: Path | None,
    model: str | None,
    number: int,
    **output: Any,
) -> None:
    """Print the images in FOLDER that TEXT describes best, the best first, each with its score.

    The images (png, jpeg, webp, gif, also in folders inside) are embedded at the first search. Later searches embed
    only what is new or has changed; the index is kept in the data folder. The command uses the running server, or
    starts one for itself.
    """
    if (query is None) == (image is None):
        raise click.UsageError("Give either TEXT or --image.")
    program = application(context)
    model = model or program.image_embedding_model(settings)
    with connect_or_start(settings, model) as (server, key):
        embedder = ImageEmbedder(server, key, model)
        index = ImageIndex(settings.home, folder, embedder.describe_model())
        with steps(folder.name or str(folder)) as bar:
            embedded = embedder.update(index, bar.reach)
        vector = embedder.embed(query if image is None else http_client.image_part(image.read_bytes()))
    matches = index.search(vector, number)
    if output["is_json"]:
        print_json(_summary(model, index, embedded, matches))
        return
    for path, fault in index.faults:
        echo(f"{folder / path} is not searched: {fault}", err=True)
    if not matches:
        echo(f"{folder} has no images.", err=True)
    method: Method = _choose_method() if output["method"] == _AUTO else output["method"]
    for match in matches:
        _print_thumbnail(context, index.folder / match.path, method)
        echo(f"{match.score:.3f}  {folder / match.path}")


def _choose_method() -> Method:
    console = Console()
    return choose_method(terminal_program(), console.color_system, is_terminal=console.is_terminal)


def _print_thumbnail(context: click.Context, file: Path, method: Method) -> None:
    """Print a thumbnail; none for an image that this machine's library cannot read."""
    if method == "none":
        return
    try:
        thumbnail = application(context).make_thumbnail(file, *largest_size(method))
    except InvalidRequest:
        return
    print_picture(render(thumbnail, method))


def _summary(model: str, index: ImageIndex, embedded: int, matches: list[FoundImage]) -> dict[str, object]:
    return {
        "model": model,
        "folder": str(index.folder),
        "images": len(index),
        "embedded": embedded,
        "removed": index.removed,
        "skipped": [{"path": path, "reason": reason} for path, reason in index.faults],
        "data": [{"path": match.path, "score": match.score} for match in matches],
    }
