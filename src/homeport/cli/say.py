"""`say`: a text spoken into a file."""

import struct
import sys
from pathlib import Path
from typing import BinaryIO

import click

from homeport.cli.options import SettingsCommand
from homeport.client import http_client
from homeport.domain.speech import AUDIO_FORMATS
from homeport.settings import Settings

_ENDINGS = {**{f".{each}": each for each in AUDIO_FORMATS}, ".ogg": "opus"}
_HEADER = 44  # of a WAV file as the server sends it


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("text")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), required=True, help="The file."
)
@click.option("--voice", default="alloy", show_default=True, help="An OpenAI voice's name, or one of the model's own.")
@click.option("--speed", type=click.FloatRange(0.25, 4), default=1.0, show_default=True, help="Times the usual pace.")
@click.option(
    "--format", "form", type=click.Choice(AUDIO_FORMATS), help="What the file is to be; else its ending says it."
)
@click.option("--model", default="kokoro-82m", show_default=True, help="Who speaks.")
def say(settings: Settings, text: str, output: Path, voice: str, speed: float, form: str | None, model: str) -> None:
    """Speak TEXT (`-`: the standard input) into a file, with the running server or one started for it."""
    form = form or _ENDINGS.get(output.suffix.lower())
    if form is None:
        raise click.UsageError(f"{output} does not end in {', '.join(_ENDINGS)}: say which --format it is to be.")
    port = settings.port if "port" in settings.origins else None
    flags = ["--home", str(settings.home), "--model", model]
    asked = {"model": model, "voice": voice, "speed": speed, "response_format": form}
    asked["input"] = sys.stdin.read() if text == "-" else text
    part = output.with_name(f"{output.name}.part")
    try:
        with http_client.connect_or_start(settings.home, port=port, flags=flags) as running, part.open("wb") as target:
            key = settings.api_keys[0] if settings.api_keys else running.token
            for sound in http_client.stream_speech(running, key, asked):
                target.write(sound)
            if form == "wav":
                _close_wav(target)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


def _close_wav(target: BinaryIO) -> None:
    """Write the sizes into the header: a file has an end, unlike the stream it came in."""
    size = target.tell()
    for at, following in ((4, size - 8), (_HEADER - 4, size - _HEADER)):
        target.seek(at)
        target.write(struct.pack("<I", following))
