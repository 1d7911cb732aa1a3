"""`shape`: a 3D shape of a prompt or of a picture."""

import base64
from pathlib import Path

import click

from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, steps
from homeport.client import http_client
from homeport.domain.errors import Unavailable
from homeport.domain.shapes import POINTS_MAX, POINTS_MIN, ShapeFormat, ShapeQuality
from homeport.formats import atomic
from homeport.settings import Settings

_FORMATS_BY_SUFFIX = {f".{each}": each for each in ShapeFormat}
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
_SEED_MAX = 2**32 - 1
_OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("subject", metavar="PROMPT|FILE")
@click.option("-o", "--output", type=_OUTPUT, required=True, help="File of the shape, such as fox.glb.")
@click.option("--preview", type=_OUTPUT, help="PNG file that shows the shape from eight sides.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice([each.value for each in ShapeFormat]),
    help="Format of the file; default: that of its suffix.",
)
@click.option("--size", type=click.IntRange(POINTS_MIN, POINTS_MAX), help="Number of points, instead of a mesh.")
@click.option("--seed", type=click.IntRange(0, _SEED_MAX), help="Seed of the picture of a prompt, and of points.")
@click.option("--quality", type=click.Choice([each.value for each in ShapeQuality]), help="How fine the shape is.")
@click.option("--model", help="Shape model; default: the one that Point-E's name refers to.")
@click.pass_context
def shape(
    context: click.Context,
    /,
    settings: Settings,
    subject: str,
    output: Path,
    preview: Path | None,
    output_format: ShapeFormat | None,
    model: str | None,
    **options: object,
) -> None:
    """Make a 3D shape of PROMPT, or of the thing in the picture FILE, and write it to a file (glb, ply or json).

    Of a prompt, the image model makes a picture first. The command uses the running server, or starts one for itself.
    """
    chosen = output_format or _FORMATS_BY_SUFFIX.get(output.suffix.lower())
    if chosen is None:
        raise click.UsageError(f"{output} does not end in {', '.join(_FORMATS_BY_SUFFIX)}: set --format.")
    body: dict[str, object] = {**_subject(subject), "output_format": str(chosen)}
    body["model"] = model = model or application(context).default_shape_model(settings)
    body |= {name: value for name, value in (*options.items(), ("preview", preview and True)) if value is not None}
    revised_prompt: str | None = None
    is_written = False
    with connect_or_start(settings, model) as (server, key), steps(output.name) as bar:
        for item in http_client.stream_shapes(server, key, body):
            bar.reach(item.step, item.steps)
            if item.data is not None:
                atomic.write_file(output, item.data, mode=0o666, is_durable=False)
                is_written, revised_prompt = True, item.revised_prompt
            if preview is not None and item.preview is not None:
                atomic.write_file(preview, item.preview, mode=0o666, is_durable=False)
    if revised_prompt not in {None, subject}:
        echo(str(revised_prompt), err=True)
    if not is_written:
        raise Unavailable("the server returned no shape")


def _subject(subject: str) -> dict[str, object]:
    """Return the field of a prompt, or of a picture's file."""
    file = Path(subject)
    if file.suffix.lower() not in _PICTURES:
        return {"prompt": subject}
    if not file.is_file():
        raise click.UsageError(f"There is no file {subject}.")
    return {"image": f"data:image/*;base64,{base64.b64encode(file.read_bytes()).decode()}"}
