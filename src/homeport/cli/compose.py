"""`compose`: music composed from words into a file."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from homeport.cli.audio_files import FORMATS_BY_SUFFIX, write_wav_sizes
from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand
from homeport.cli.output import echo, steps
from homeport.client import http_client
from homeport.domain.errors import Unavailable
from homeport.domain.music import MUSIC_FORMATS, SECONDS_MIN
from homeport.formats import atomic
from homeport.settings import Settings

_FORMATS_BY_SUFFIX = {**FORMATS_BY_SUFFIX, ".mid": "midi", ".midi": "midi"}
_SEED_MAX = 2**32 - 1


@click.command(cls=SettingsCommand, settings=("home", "port"))
@click.argument("prompt")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="Audio file, or MIDI file (.mid).",
)
@click.option("--genre", help="Genre, such as waltz; an unknown one is refused with those that are near.")
@click.option("--lyrics", metavar="FILE|TEXT", help="Lyrics to be sung, or the text file that has them.")
@click.option("--voice", help="Who sings the lyrics: a voice of `homeport say`.")
@click.option("--seconds", type=click.FloatRange(SECONDS_MIN), help="Length, about; default: 30, or what lyrics take.")
@click.option("--bpm", type=click.FloatRange(30, 300), help="Beats a minute, as musicians count them.")
@click.option("--key", help='Key, such as "D minor".')
@click.option("--seed", type=click.IntRange(0, _SEED_MAX), help="Seed; the same seed composes the same music.")
@click.option("--format", "form", type=click.Choice(MUSIC_FORMATS), help="Format; default: by the file's suffix.")
@click.option("--model", default="homeport-tunes", show_default=True, help="Music model.")
def compose(
    settings: Settings,
    prompt: str,
    output: Path,
    lyrics: str | None,
    form: str | None,
    model: str,
    **options: object,
) -> None:
    """Compose music from PROMPT, such as "a slow waltz", and write it to a file.

    The command uses the running server, or starts one for itself.
    """
    form = form or _FORMATS_BY_SUFFIX.get(output.suffix.lower())
    if form is None:
        raise click.UsageError(f"{output} does not end in {', '.join(_FORMATS_BY_SUFFIX)}: name a --format.")
    body: dict[str, object] = {"model": model, "prompt": prompt, "response_format": form}
    body |= {name: value for name, value in options.items() if value is not None}
    if lyrics is not None:
        body["lyrics"] = _read_lyrics(lyrics)
    facts: Mapping[str, Any] | None = None
    with (
        connect_or_start(settings, model) as (server, key),
        atomic.replace_file(output, mode=0o666, is_durable=False) as partial,
        partial.open("wb") as target,
        steps(output.name) as bar,
    ):
        for item in http_client.stream_music(server, key, body):
            target.write(item.data)
            facts = item.facts or facts
            if item.total_seconds:
                bar.reach(round(item.seconds), round(item.total_seconds))
        if facts is None:
            raise Unavailable("the server ended the music before its end")
        if form == "wav":
            write_wav_sizes(target)
    echo(f"{facts['genre']} in {facts['key']}, {facts['bpm']:g} bpm, seed {facts['seed']}", err=True)


def _read_lyrics(text: str) -> str:
    """Return the content of the file of this name, if there is one, else the text itself."""
    with contextlib.suppress(OSError, ValueError):  # too long for a name, or with characters that no name has
        if Path(text).is_file():
            return Path(text).read_text(encoding="utf-8")
    return text.replace("\\n", "\n")
