"""`pull`, `list`, `show` and `rm`: the models on disk."""

from collections.abc import Sequence

import click
import msgspec

from homeport.cli.application import Application
from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import (
    echo,
    human_size,
    json_flag,
    print_json,
    print_table,
    progress,
    shorten_list,
)
from homeport.domain.errors import HomeportError
from homeport.domain.models import Alias, InstalledModel
from homeport.domain.weight_layouts import (
    LAYOUTS,
    ORIGINAL,
    OptimizeOptions,
    OptimizeResult,
    lossier,
)
from homeport.settings import Settings

HUBS = ("home", "offline", "hub_order", "hf_endpoint", "ms_endpoint")
KERNELS = ("llama_lib", "threads")


def fetch(program: Application, settings: Settings, reference: str, optimize: bool | None = None) -> InstalledModel:
    """Fetch one model, showing how it goes; Ctrl-C leaves what is there to be resumed.

    `is_wanted`: whether it is then laid out for this CPU; None leaves it to the settings, for a starter just fetched.
    """
    if optimize is None:
        optimize = (
            settings.optimize == "auto"
            and program.is_starter(reference)
            and not _is_installed(program, settings, reference)
        )
    try:
        with progress(reference) as bar:
            found = program.pull_model(settings, reference, bar)
    except KeyboardInterrupt:
        echo("Interrupted; the same command goes on where this one stopped.", err=True)
        raise
    if optimize:
        try:
            _optimize_model(program, settings, found.facts.name, OptimizeOptions())
        except HomeportError as error:  # it is a gain, not a need
            echo(f"{found.facts.name} stays as it was fetched: {error}", err=True)
    return found


def _is_installed(program: Application, settings: Settings, name: str) -> bool:
    return any(model.facts.name == name for model in program.list_models(settings))


def _optimize_model(program: Application, settings: Settings, name: str, wish: OptimizeOptions) -> OptimizeResult:
    echo(f"Trying layouts of {name} on this CPU.", err=True)
    try:
        with progress(name) as bar:
            outcome = program.optimize_model(settings, name, wish, bar)
    except KeyboardInterrupt:
        echo(f"Interrupted; {name} stays as it was.", err=True)
        raise
    for trial in lossier(outcome.trials) if wish.layout is None else ():
        price = f"perplexity {trial.fidelity.rise:+.1%}" if trial.fidelity else "unknown"
        echo(
            f"{trial.layout} would be {trial.gain:.1f} x as fast, at a price ({price}): "
            f"yours to choose with `homeport optimize {name} --layout {trial.layout}`",
            err=True,
        )
    return outcome


@click.command(cls=SettingsCommand, settings=(*HUBS, *KERNELS))
@click.argument("references", nargs=-1, required=True, metavar="MODEL...")
@click.option("--optimize", "is_wanted", flag_value=True, default=None, help="Then lay the weights out for this CPU.")
@json_flag
@click.pass_context
def pull(
    context: click.Context, settings: Settings, references: tuple[str, ...], is_wanted: bool | None, is_json: bool
) -> None:
    """Fetch models: a catalogue name, hf:org/repo[:Q4_K_M], ms:org/repo[:Q4_K_M] or file:model.gguf."""
    found = [fetch(application(context), settings, reference, is_wanted) for reference in references]
    if is_json:
        print_json([model.facts for model in found])
        return
    for model in found:
        echo(f"{model.facts.name} is installed ({human_size(model.facts.size_bytes)})")


@click.command(cls=SettingsCommand, settings=("home", *KERNELS))
@click.argument("model")
@click.option("--layout", metavar="|".join((ORIGINAL, *LAYOUTS)), help="Take this one, whatever it loses.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Measure and tell; change nothing.")
@json_flag
@click.pass_context
def optimize(
    context: click.Context, settings: Settings, model: str, layout: str | None, is_dry: bool, is_json: bool
) -> None:
    """Lay a model's weights out for this CPU: the fastest layout that loses nothing that matters.

    Both files are kept. A running server takes the new one when it next loads the model.
    """
    outcome = _optimize_model(application(context), settings, model, OptimizeOptions(layout, is_dry))
    if is_json:
        print_json(outcome)
        return
    for trial in outcome.trials:
        echo(str(trial))
    taken = "is now used" if outcome.is_changed else "stays in use"
    echo(f"{outcome.model}: the layout {outcome.layout} {taken}")


@click.command("list", cls=SettingsCommand)
@click.option("--aliases", "is_names", is_flag=True, help="List the names that stand for models instead.")
@json_flag
@click.pass_context
def list_(context: click.Context, settings: Settings, is_names: bool, is_json: bool) -> None:
    """List the installed models and the names that stand for them."""
    program = application(context)
    models, aliases = program.list_models(settings), program.list_aliases(settings)
    if is_json:
        described = [{**msgspec.to_builtins(model.facts), "layout": model.layout} for model in models]
        print_json({"models": described, "aliases": aliases})
    elif is_names:
        print_table(("NAME", "MODEL"), [(alias.name, alias.target) for alias in aliases])
    else:
        head = ("MODEL", "KIND", "SIZE", "LAYOUT", "WINDOW", "LICENCE", "ALIASES")
        print_table(head, [_row(model, aliases) for model in models])


def _row(model: InstalledModel, aliases: Sequence[Alias]) -> tuple[str, ...]:
    facts = model.facts
    names = [alias.name for alias in aliases if alias.target == facts.name]
    window = str(facts.window or "-")
    size = human_size(facts.size_bytes)
    return facts.name, facts.kind, size, model.layout, window, facts.licence, shorten_list(names)


@click.command(cls=SettingsCommand)
@click.argument("model")
@json_flag
@click.pass_context
def show(context: click.Context, settings: Settings, model: str, is_json: bool) -> None:
    """Tell everything known of a model: files and hashes, source, licence, template."""
    found = application(context).describe_model(settings, model)
    if is_json:
        print_json(found)
        return
    for name, value in found.items():
        lines = [str(part) for part in value] if isinstance(value, list | tuple) else str(value).splitlines()
        echo(f"{name:<14}{lines[0] if lines else ''}")
        for line in lines[1:]:
            echo(f"{'':<14}{line}")


@click.command(cls=SettingsCommand)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.pass_context
def rm(context: click.Context, settings: Settings, models: tuple[str, ...]) -> None:
    """Delete models from the disk."""
    for model in models:
        freed = application(context).remove_model(settings, model)
        echo(f"{model} is removed ({human_size(freed)} freed)")
