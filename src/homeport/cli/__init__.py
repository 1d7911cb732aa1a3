"""The commands: each turns its flags into Settings and calls `app` or a server. Knows no rules of either."""

import io
import sys

import click

from homeport.app import commands as app
from homeport.cli import (
    ask,
    batch,
    cluster,
    compose,
    config,
    db,
    doctor,
    draw,
    embed,
    finetune,
    kernels,
    keys,
    models,
    open_page,
    run,
    say,
    search,
    serve,
    shape,
    tools,
    transcribe,
    usage,
    use,
)
from homeport.cli.application import Application
from homeport.cli.options import Commands
from homeport.domain.child_environment import limit_thread_spinning


@click.group(cls=Commands)
def commands() -> None:
    """OpenAI's API on your own machine, with open-weight models."""


for _command in (
    serve.serve,
    run.run,
    embed.embed,
    search.search,
    ask.ask,
    transcribe.transcribe,
    say.say,
    draw.draw,
    shape.shape,
    compose.compose,
    open_page.open_page,
    serve.ps,
    serve.stop,
    models.pull,
    models.optimize,
    use.use,
    finetune.finetune,
    models.list_,
    models.show,
    tools.tools,
    models.rm,
    keys.keys,
    usage.usage,
    batch.batch,
    db.database,
    kernels.kernels,
    cluster.cluster,
    cluster.scale,
    doctor.doctor,
    config.config,
    doctor.version,
):
    commands.add_command(_command)
commands.add_command(models.list_, "ls")


def main() -> None:
    """Run the command named on the command line."""
    limit_thread_spinning()
    if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.encoding.lower() in ("utf-8", "utf8"):
        sys.stdin.reconfigure(encoding="utf-8-sig")  # skip a byte order mark before piped text
    program: Application = app
    commands(obj=program, prog_name="homeport")
