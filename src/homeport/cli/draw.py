"""`draw`: images generated from a prompt."""

from pathlib import Path

import click

from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, steps
from homeport.client import http_client
from homeport.domain.errors import Unavailable
from homeport.domain.images import ImageFormat
from homeport.formats import atomic
from homeport.settings import Settings

_FORMATS_BY_SUFFIX = {**{f".{each}": each for each in ImageFormat}, ".jpg": ImageFormat.JPEG}
_SEED_MAX = 2**32 - 1


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("prompt")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="Image file; several images of fox.png become fox-1.png, fox-2.png, ...",
)
@click.option("-n", "--number", "n", type=click.IntRange(1, 10), default=1, show_default=True, help="Number of images.")
@click.option("--size", help="Size, such as 512x512; default: the model's own.")
@click.option("--seed", type=click.IntRange(0, _SEED_MAX), help="Seed; the same seed generates the same image.")
@click.option("--steps", type=click.IntRange(1), help="Number of sampling steps.")
@click.option("--guidance", type=click.FloatRange(1), help="Guidance scale: how closely the image follows the prompt.")
@click.option("--without", "negative_prompt", metavar="TEXT", help="Negative prompt, if the model supports it.")
@click.option("--model", help="Image model; default: the one that OpenAI's image model names refer to.")
@click.pass_context
def draw(
    context: click.Context,
    /,
    settings: Settings,
    prompt: str,
    output: Path,
    model: str | None,
    n: int,
    **options: object,
) -> None:
    """Generate images from PROMPT and write them to files (png, jpeg or webp).

    The command uses the running server, or starts one for itself.
    """
    image_format = _FORMATS_BY_SUFFIX.get(output.suffix.lower())
    if image_format is None:
        raise click.UsageError(f"{output} does not end in {', '.join(_FORMATS_BY_SUFFIX)}.")
    model = model or application(context).default_image_model(settings)
    body = {"model": model, "prompt": prompt, "n": n, "output_format": image_format.value}
    body |= {name: value for name, value in options.items() if value is not None}
    n_written = 0
    revised_prompt: str | None = None
    with connect_or_start(settings, model) as (server, key), steps(output.name) as bar:
        for item in http_client.stream_images(server, key, body):
            if item.data is None:
                bar.reach(item.image_index * item.steps + item.step, n * item.steps)
            else:
                path = output if n == 1 else _numbered_path(output, item.image_index + 1)
                atomic.write_file(path, item.data, mode=0o666, is_durable=False)
                n_written += 1
                revised_prompt = item.revised_prompt
    if revised_prompt not in {None, prompt}:
        echo(str(revised_prompt), err=True)
    if n_written < n:
        raise Unavailable(f"the server returned {n_written} of {n} images")


def _numbered_path(output: Path, number: int) -> Path:
    return output.with_name(f"{output.stem}-{number}{output.suffix}")
