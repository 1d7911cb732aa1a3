"""`transcribe`: a recording transcribed or translated."""

from pathlib import Path

import click

from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand
from homeport.cli.output import echo
from homeport.client import http_client
from homeport.settings import Settings

_FORMATS = ("text", "json", "srt", "vtt", "verbose_json")


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--language", help="Language, such as en; zh yields simplified, zh-hant traditional characters.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", show_default=True, help="Output format.")
@click.option("--translate", "is_translated", is_flag=True, help="Translate to English.")
@click.option("--prompt", help="Preceding text or expected names, in the style of the output.")
@click.option("--model", default="whisper-base", show_default=True, help="Transcription model.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON, with times: the same as --format verbose_json.")
def transcribe(
    settings: Settings, file: Path, form: str, model: str, *, is_translated: bool, is_json: bool, **options: str | None
) -> None:
    """Transcribe a recording, or translate it to English.

    Text is printed as it is transcribed. FILE is flac, m4a, mp3, mp4, mpeg, ogg, wav or webm, at most 25 MB. The
    command uses the running server, or starts one for itself.
    """
    if is_translated and options["language"]:
        raise click.UsageError("--translate takes no --language: the spoken language is detected.")
    fields = {name: text for name, text in options.items() if text is not None}
    fields |= {"model": model, "response_format": "verbose_json" if is_json else form}
    with connect_or_start(settings, model) as (server, key):
        if is_translated or is_json or form != "text":
            task = "translations" if is_translated else "transcriptions"
            echo(http_client.create_transcription(server, key, task, file, fields).rstrip("\n"))
            return
        for piece in http_client.stream_transcription(server, key, file, fields):
            echo(piece, nl=False)
        echo()
