"""`say`: speech synthesized into a file."""

import sys
from pathlib import Path

import click

from homeport.cli.audio_files import FORMATS_BY_SUFFIX, write_wav_sizes
from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand
from homeport.client import http_client
from homeport.domain.speech import AUDIO_FORMATS
from homeport.formats import atomic
from homeport.settings import Settings


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("text")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), required=True, help="Audio file."
)
@click.option(
    "--voice", default="alloy", show_default=True, help="Voice: a name of OpenAI's, or one of the model's own."
)
@click.option(
    "--speed", type=click.FloatRange(0.25, 4), default=1.0, show_default=True, help="Factor of the normal speed."
)
@click.option("--format", "form", type=click.Choice(AUDIO_FORMATS), help="Audio format; default: by the file's suffix.")
@click.option("--model", default="kokoro-82m", show_default=True, help="Speech model.")
def say(settings: Settings, text: str, output: Path, voice: str, speed: float, form: str | None, model: str) -> None:
    """Synthesize speech from TEXT (`-`: standard input) and write it to a file.

    The command uses the running server, or starts one for itself.
    """
    form = form or FORMATS_BY_SUFFIX.get(output.suffix.lower())
    if form is None:
        raise click.UsageError(f"{output} does not end in {', '.join(FORMATS_BY_SUFFIX)}: name a --format.")
    body = {"model": model, "voice": voice, "speed": speed, "response_format": form}
    body["input"] = sys.stdin.read() if text == "-" else text
    with (
        connect_or_start(settings, model) as (server, key),
        atomic.replace_file(output, mode=0o666, is_durable=False) as partial,
        partial.open("wb") as target,
    ):
        for audio in http_client.stream_speech(server, key, body):
            target.write(audio)
        if form == "wav":
            write_wav_sizes(target)
