"""`kernels`, `doctor`, `config` and `version`: the machine, the installation and its settings."""

import platform
from pathlib import Path

import click

import homeport
from homeport.cli.options import EVERY, Configured, application
from homeport.cli.output import echo, json_flag, print_json, print_table, progress
from homeport.settings import CONFIG, FACTS, PREFIX, Settings


@click.group()
def kernels() -> None:
    """Install and show the compiled code that computes."""


@kernels.command(cls=Configured, settings=("home", "offline"))
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


@kernels.command("show", cls=Configured, settings=("home", "llama_lib"))
@json_flag
@click.pass_context
def show_kernels(context: click.Context, settings: Settings, is_json: bool) -> None:
    """Show which kernels compute, for which CPU family or GPU."""
    found = application(context).kernels(settings)
    print_json({"kernels": found}) if is_json else echo(found)


@click.command(cls=Configured, settings=EVERY)
@click.option("--online", is_flag=True, help="Also try to reach the hubs.")
@json_flag
@click.pass_context
def doctor(context: click.Context, settings: Settings, online: bool, is_json: bool) -> None:
    """Examine the machine and the installation; exit status 1 if something would not work."""
    found = []
    for finding in application(context).diagnose(settings, online=online):
        found.append(finding)
        if not is_json:
            mark = {"good": "ok  ", "warning": "warn", "bad": "BAD "}[finding.state]
            echo(f"{mark}  {finding.name:<12}  {finding.detail}")
            if finding.remedy:
                echo(f"{'':<6}{'':<12}  -> {finding.remedy}")
    if is_json:
        print_json(found)
    context.exit(int(any(finding.state == "bad" for finding in found)))


@click.group()
def config() -> None:
    """Show and check the settings."""


@config.command("show", cls=Configured, settings=EVERY)
@json_flag
def show_config(settings: Settings, is_json: bool) -> None:
    """Show every setting, where it was set, and its name in the environment; secrets are masked."""
    shown = settings.shown()
    if is_json:
        print_json({name: {"value": value, "set_by": settings.origins.get(name)} for name, value in shown.items()})
        return
    rows = [
        (name, "-" if value in (None, [], {}) else str(value), settings.origins.get(name, "default"))
        for name, value in shown.items()
    ]
    print_table(("SETTING", "VALUE", "SET BY"), rows)


@config.command(cls=Configured, settings=EVERY)
@click.pass_context
def check(context: click.Context, settings: Settings) -> None:
    """Check the settings as `serve` would; exit status 1 and the reason if they are wrong."""
    application(context).check(settings)
    n_set = len([name for name in FACTS if name in settings.origins])
    echo(f"The settings are right ({n_set} set; {PREFIX}* variables, {CONFIG} or flags change them).")


@click.command()
@json_flag
def version(is_json: bool) -> None:
    """Print the versions of Homeport and Python."""
    found = {"homeport": homeport.__version__, "python": platform.python_version(), "system": platform.platform()}
    print_json(found) if is_json else echo(" ".join(f"{name} {value}" for name, value in found.items()))
