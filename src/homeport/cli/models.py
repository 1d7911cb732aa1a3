"""`pull`, `list`, `show` and `rm`: the models on disk."""

from collections.abc import Sequence

import click

from homeport.cli.application import Application
from homeport.cli.options import Configured, application
from homeport.cli.output import human_size, json_flag, print_json, print_table, progress, shortened
from homeport.domain.models import Alias, Facts, Installed
from homeport.settings import Settings

HUBS = ("home", "offline", "hub_order", "hf_endpoint", "ms_endpoint")


def fetch(program: Application, settings: Settings, reference: str) -> Installed:
    """Fetch one model, showing how it goes; Ctrl-C leaves what is there to be resumed."""
    try:
        with progress(reference) as bar:
            return program.pull(settings, reference, bar)
    except KeyboardInterrupt:
        click.echo("Interrupted; the same command goes on where this one stopped.", err=True)
        raise


@click.command(cls=Configured, settings=HUBS)
@click.argument("references", nargs=-1, required=True, metavar="MODEL...")
@json_flag
@click.pass_context
def pull(context: click.Context, settings: Settings, references: tuple[str, ...], is_json: bool) -> None:
    """Fetch models: a catalogue name, hf:org/repo[:Q4_K_M], ms:org/repo[:Q4_K_M] or file:model.gguf."""
    found = [fetch(application(context), settings, reference) for reference in references]
    if is_json:
        print_json([model.facts for model in found])
        return
    for model in found:
        click.echo(f"{model.facts.name} is installed ({human_size(model.facts.size_bytes)})")


@click.command("list", cls=Configured)
@click.option("--aliases", "is_names", is_flag=True, help="List the names that stand for models instead.")
@json_flag
@click.pass_context
def list_(context: click.Context, settings: Settings, is_names: bool, is_json: bool) -> None:
    """List the installed models and the names that stand for them."""
    program = application(context)
    models, aliases = program.installed(settings), program.aliases(settings)
    if is_json:
        print_json({"models": [model.facts for model in models], "aliases": aliases})
    elif is_names:
        print_table(("NAME", "MODEL"), [(alias.name, alias.target) for alias in aliases])
    else:
        head = ("MODEL", "KIND", "SIZE", "WINDOW", "LICENCE", "ALIASES")
        print_table(head, [_row(model.facts, aliases) for model in models])


def _row(facts: Facts, aliases: Sequence[Alias]) -> tuple[str, ...]:
    names = [alias.name for alias in aliases if alias.target == facts.name]
    window = str(facts.window or "-")
    return facts.name, facts.kind, human_size(facts.size_bytes), window, facts.licence, shortened(names)


@click.command(cls=Configured)
@click.argument("model")
@json_flag
@click.pass_context
def show(context: click.Context, settings: Settings, model: str, is_json: bool) -> None:
    """Tell everything known of a model: files and hashes, source, licence, template."""
    found = application(context).show(settings, model)
    if is_json:
        print_json(found)
        return
    for name, value in found.items():
        lines = [str(part) for part in value] if isinstance(value, list | tuple) else str(value).splitlines()
        click.echo(f"{name:<14}{lines[0] if lines else ''}")
        for line in lines[1:]:
            click.echo(f"{'':<14}{line}")


@click.command(cls=Configured)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.pass_context
def rm(context: click.Context, settings: Settings, models: tuple[str, ...]) -> None:
    """Delete models from the disk."""
    for model in models:
        freed = application(context).remove(settings, model)
        click.echo(f"{model} is removed ({human_size(freed)} freed)")
