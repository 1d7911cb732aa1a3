"""`kernels`: the compiled libraries that compute."""

from pathlib import Path

import click

from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, json_flag, print_json, progress
from homeport.settings import Settings


@click.group()
def kernels() -> None:
    """Install and show the kernels (the compiled libraries that compute)."""


@kernels.command(cls=SettingsCommand, settings=("home", "offline"))
@click.argument("variant", default="cpu", type=click.Choice(("cpu", "cuda", "vulkan")))
@click.option(
    "--file", type=click.Path(exists=True, path_type=Path), help="Package file, to install without a network."
)
@click.option(
    "--if-missing",
    is_flag=True,
    help="Do nothing if kernels of this release, or of another variant, are installed.",
)
@click.pass_context
def install(context: click.Context, settings: Settings, variant: str, file: Path | None, *, if_missing: bool) -> None:
    """Install kernels for every CPU family, or for a GPU; npm fetches them."""
    if if_missing and application(context).has_kernels(settings, variant):
        return
    with progress("kernels") as bar:
        description = application(context).install_kernels(settings, variant, file, bar)
    echo(description)


@kernels.command("show", cls=SettingsCommand, settings=("home", "llama_lib"))
@json_flag
@click.pass_context
def show_kernels(context: click.Context, settings: Settings, is_json: bool) -> None:
    """Show the kernels that are used, and their CPU family or GPU."""
    description = application(context).describe_kernels(settings)
    print_json({"kernels": description}) if is_json else echo(description)
