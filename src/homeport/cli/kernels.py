"""`kernels`, `doctor`, `config` and `version`: the machine, the installation and its settings."""

from pathlib import Path

import click

from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, json_flag, print_json, progress
from homeport.settings import (
    Settings,
)


@click.group()
def kernels() -> None:
    """Install and show the compiled code that computes."""


@kernels.command(cls=SettingsCommand, settings=("home", "offline"))
@click.argument("flavour", default="cpu", type=click.Choice(("cpu", "cuda", "vulkan")))
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="A package fetched before, for no network.")
@click.option(
    "--if-missing",
    "is_needed",
    is_flag=True,
    help="Do nothing if kernels of this release, or of another variant, are installed.",
)
@click.pass_context
def install(context: click.Context, settings: Settings, flavour: str, file: Path | None, *, is_needed: bool) -> None:
    """Install kernels with code for every CPU family, or for a GPU; npm fetches them."""
    if is_needed and application(context).has_kernels(settings, flavour):
        return
    with progress("kernels") as bar:
        found = application(context).install_kernels(settings, flavour, file, bar)
    echo(found)


@kernels.command("show", cls=SettingsCommand, settings=("home", "llama_lib"))
@json_flag
@click.pass_context
def show_kernels(context: click.Context, settings: Settings, is_json: bool) -> None:
    """Show which kernels compute, for which CPU family or GPU."""
    found = application(context).describe_kernels(settings)
    print_json({"kernels": found}) if is_json else echo(found)
