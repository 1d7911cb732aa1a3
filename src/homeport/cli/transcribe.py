"""`transcribe`: what is said in a recording, in writing."""

from pathlib import Path

import click

from homeport.cli.options import SettingsCommand
from homeport.cli.output import echo
from homeport.client import http_client
from homeport.settings import Settings

_FORMATS = ("text", "json", "srt", "vtt", "verbose_json")


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--language", help="What is spoken, such as en; zh writes simplified, zh-hant traditional characters.")
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), default="text", show_default=True, help="How to write it."
)
@click.option("--translate", "is_translated", is_flag=True, help="Write it in English, whatever is spoken.")
@click.option("--prompt", help="What was said before, or names to expect, in the style to write.")
@click.option("--model", default="whisper-base", show_default=True, help="Who listens.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON, with times: the same as --format verbose_json.")
def transcribe(
    settings: Settings, file: Path, form: str, model: str, *, is_translated: bool, is_json: bool, **said: str | None
) -> None:
    """Write down what is said in FILE, with the running server or one started for it.

    Text is printed while it is heard. FILE is flac, m4a, mp3, mp4, mpeg, ogg, wav or webm, 25 MB at most.
    """
    if is_translated and said["language"]:
        raise click.UsageError("--translate takes no --language: the one that is spoken is heard.")
    fields = {name: text for name, text in said.items() if text is not None}
    fields |= {"model": model, "response_format": "verbose_json" if is_json else form}
    port = settings.port if "port" in settings.origins else None
    flags = ["--home", str(settings.home), "--model", model]
    with http_client.connect_or_start(settings.home, port=port, flags=flags) as running:
        key = settings.api_keys[0] if settings.api_keys else running.token
        if is_translated or is_json or form != "text":
            task = "translations" if is_translated else "transcriptions"
            echo(http_client.create_transcription(running, key, task, file, fields).rstrip("\n"))
            return
        for piece in http_client.stream_transcription(running, key, file, fields):
            echo(piece, nl=False)
        echo()
