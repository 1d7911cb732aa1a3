"""`draw`: a prompt painted into a file."""

from pathlib import Path

import click

from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import steps
from homeport.client import http_client
from homeport.domain.errors import Unavailable
from homeport.domain.images import ImageFormat
from homeport.settings import Settings

_ENDINGS = {**{f".{each}": each for each in ImageFormat}, ".jpg": ImageFormat.JPEG}
_SEED_MAX = 2**32 - 1


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("prompt")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="The file; of several pictures, fox.png becomes fox-1.png, fox-2.png, ...",
)
@click.option("-n", "--number", "n", type=click.IntRange(1, 10), default=1, show_default=True, help="How many.")
@click.option("--size", help="Such as 512x512; else the model's own.")
@click.option("--seed", type=click.IntRange(0, _SEED_MAX), help="The same seed paints the same picture.")
@click.option("--steps", type=click.IntRange(1), help="How many steps a picture takes.")
@click.option("--guidance", type=click.FloatRange(1), help="How closely the prompt is followed.")
@click.option("--without", "negative_prompt", metavar="TEXT", help="What to leave out, where the model can.")
@click.option("--model", help="Who paints; else the model that OpenAI's names for such stand for.")
@click.pass_context
def draw(
    context: click.Context,
    /,
    settings: Settings,
    prompt: str,
    output: Path,
    model: str | None,
    n: int,
    **wishes: object,
) -> None:
    """Paint PROMPT into a file (png, jpeg or webp), with the running server or one started for it."""
    form = _ENDINGS.get(output.suffix.lower())
    if form is None:
        raise click.UsageError(f"{output} does not end in {', '.join(_ENDINGS)}.")
    model = model or application(context).default_image_model(settings)
    port = settings.port if "port" in settings.origins else None
    flags = ["--home", str(settings.home), "--model", model]
    asked = {"model": model, "prompt": prompt, "n": n, "output_format": form.value}
    asked |= {name: wish for name, wish in wishes.items() if wish is not None}
    painted = 0
    with (
        http_client.connect_or_start(settings.home, port=port, flags=flags) as running,
        steps(output.name) as bar,
    ):
        key = settings.api_keys[0] if settings.api_keys else running.token
        for told in http_client.stream_images(running, key, asked):
            if told.data is None:
                bar.reach(told.image_index * told.steps + told.step, n * told.steps)
            else:
                _write(output if n == 1 else _numbered_path(output, told.image_index + 1), told.data)
                painted += 1
    if painted < n:
        raise Unavailable(f"the server gave {painted} of {n} pictures")


def _numbered_path(output: Path, number: int) -> Path:
    return output.with_name(f"{output.stem}-{number}{output.suffix}")


def _write(output: Path, data: bytes) -> None:
    """Put the file there whole or not at all."""
    part = output.with_name(f"{output.name}.part")
    try:
        part.write_bytes(data)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
