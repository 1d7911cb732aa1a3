"""The commands: flags to Settings, then one call each. No logic here; it is in `app` and the rooms behind it."""

import io
import sys

import click

from homeport import app
from homeport.cli import (
    batches,
    database,
    drawing,
    keys,
    machine,
    models,
    serving,
    speech,
    transcription,
    tuning,
    usage,
)
from homeport.cli.application import Application
from homeport.cli.options import Commands
from homeport.settings import share_processors


@click.group(cls=Commands)
def commands() -> None:
    """OpenAI's API on your own machine, served by open-weight models."""


for _command in (
    serving.serve,
    serving.run,
    serving.embed,
    transcription.transcribe,
    speech.say,
    drawing.draw,
    serving.ps,
    serving.stop,
    models.pull,
    models.optimize,
    tuning.finetune,
    models.list_,
    models.show,
    models.rm,
    keys.keys,
    usage.usage,
    batches.batch,
    database.database,
    machine.kernels,
    machine.doctor,
    machine.config,
    machine.version,
):
    commands.add_command(_command)
commands.add_command(models.list_, "ls")


def main() -> None:
    """Run the command named on the command line."""
    share_processors()
    if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.encoding.lower() in ("utf-8", "utf8"):
        sys.stdin.reconfigure(encoding="utf-8-sig")  # a byte order mark before piped text is no part of it
    program: Application = app
    commands(obj=program, prog_name="homeport")
