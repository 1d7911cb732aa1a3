"""`pull`, `optimize`, `list`, `show` and `rm`: the models on disk."""

from collections.abc import Sequence

import click
import msgspec

from homeport.cli.application import Application
from homeport.cli.model_choices import print_catalogue, print_family
from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, human_size, json_flag, print_json, print_table, progress, shorten_list
from homeport.domain.errors import HomeportError
from homeport.domain.models import Alias, InstalledModel
from homeport.domain.weight_layouts import LAYOUTS, ORIGINAL, OptimizeOptions, OptimizeResult, lossier
from homeport.settings import Settings

HUBS = ("home", "offline", "hub_order", "hf_endpoint", "ms_endpoint")
NO_PROJECTOR = "none"
KERNELS = ("llama_lib", "threads", "gpu_layers")


def fetch(
    program: Application,
    settings: Settings,
    reference: str,
    optimize: bool | None = None,
    projector: str | None = None,
    *,
    accepts_licence: bool = False,
) -> InstalledModel:
    """Pull a model and show the progress; after Ctrl-C, the next call resumes. `projector`,
    `accepts_licence`: as of `pull`.

    `optimize`: whether to requantize it for this CPU. None: if that is the default for the model, it was not installed
    before, and the settings do not forbid it.
    """
    if optimize is None:
        optimize = (
            settings.optimize == "auto"
            and program.is_optimized_by_default(reference)
            and not _is_installed(program, settings, reference)
        )
    try:
        with progress(reference) as bar:
            model = program.pull_model(settings, reference, bar, projector, accepts_licence=accepts_licence)
    except KeyboardInterrupt:
        echo("Interrupted. Rerun the same command to resume.", err=True)
        raise
    if optimize:
        try:
            _optimize_model(program, settings, model.facts.name, OptimizeOptions())
        except HomeportError as error:  # the model works without it
            echo(f"{model.facts.name} keeps its original layout: {error}", err=True)
    return model


def _is_installed(program: Application, settings: Settings, name: str) -> bool:
    return any(model.facts.name == name for model in program.list_models(settings))


def _optimize_model(program: Application, settings: Settings, name: str, options: OptimizeOptions) -> OptimizeResult:
    echo(f"Measuring layouts of {name} on this CPU.", err=True)
    try:
        with progress(name) as bar:
            result = program.optimize_model(settings, name, options, bar)
    except KeyboardInterrupt:
        echo(f"Interrupted. {name} is unchanged.", err=True)
        raise
    for trial in lossier(result.trials) if options.layout is None else ():
        loss = f"perplexity {trial.fidelity.rise:+.1%}" if trial.fidelity else "unknown"
        echo(
            f"{trial.layout} is {trial.gain:.1f} x as fast, with a loss of quality ({loss}): "
            f"to use it, run `homeport optimize {name} --layout {trial.layout}`",
            err=True,
        )
    return result


@click.command(cls=SettingsCommand, settings=(*HUBS, *KERNELS))
@click.argument("references", nargs=-1, required=True, metavar="MODEL...")
@click.option("--optimize", "is_optimized", flag_value=True, default=None, help="Then requantize for this CPU.")
@click.option(
    "--projector",
    metavar="FILE|none",
    help="The mmproj file with which MODEL sees or hears. Default: the hub's own, if it has one.",
)
@click.option(
    "--accept-licence",
    "is_accepted",
    is_flag=True,
    help="Accept the licence of a MODEL that is for non-commercial use only.",
)
@json_flag
@click.pass_context
def pull(
    context: click.Context,
    settings: Settings,
    references: tuple[str, ...],
    is_optimized: bool | None,
    projector: str | None,
    is_accepted: bool,
    is_json: bool,
) -> None:
    """Pull models from the catalogue, a hub or a file.

    MODEL is a catalogue name, hf:org/repo[:Q4_K_M], ms:org/repo[:Q4_K_M] or file:model.gguf. The name of a family (such
    as qwen3) pulls nothing, but lists its sizes, with the memory they need and what fits this machine.
    """
    program = application(context)
    choices = program.list_catalogue(settings)
    families = [reference for reference in references if choices.of_family(reference)]
    wanted = [reference for reference in references if reference not in families]
    if projector not in (None, NO_PROJECTOR) and len(references) > 1:
        raise click.UsageError("--projector belongs to one MODEL: pull it by itself.")
    models = [
        fetch(program, settings, reference, is_optimized, projector, accepts_licence=is_accepted)
        for reference in wanted
    ]
    if is_json:
        members = [choice for family in families for choice in choices.of_family(family)]
        print_json([*members, *(model.facts for model in models)])
        return
    for family in families:
        print_family(family, choices)
    for model in models:
        echo(f"{model.facts.name} is installed ({human_size(model.facts.size_bytes)})")


@click.command(cls=SettingsCommand, settings=("home", *KERNELS))
@click.argument("model")
@click.option("--layout", metavar="|".join((ORIGINAL, *LAYOUTS)), help="Use this layout, whatever its quality loss.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Measure only; change nothing.")
@json_flag
@click.pass_context
def optimize(
    context: click.Context, settings: Settings, model: str, layout: str | None, is_dry: bool, is_json: bool
) -> None:
    """Requantize a model for this CPU: the fastest layout without measurable quality loss.

    Both files are kept. A running server uses the new one when it loads the model again.
    """
    result = _optimize_model(application(context), settings, model, OptimizeOptions(layout, is_dry))
    if is_json:
        print_json(result)
        return
    for trial in result.trials:
        echo(str(trial))
    change = "is now used" if result.is_changed else "stays in use"
    echo(f"{result.model}: the layout {result.layout} {change}")


@click.command("list", cls=SettingsCommand)
@click.option("--aliases", "are_aliases", is_flag=True, help="List all aliases with their models instead.")
@click.option("--catalogue", "is_catalogue", is_flag=True, help="List the models that can be pulled by name instead.")
@json_flag
@click.pass_context
def list_(context: click.Context, settings: Settings, are_aliases: bool, is_catalogue: bool, is_json: bool) -> None:
    """List the installed models and their aliases."""
    program = application(context)
    if is_catalogue:
        choices = program.list_catalogue(settings)
        if is_json:
            print_json(choices.models)
        else:
            print_catalogue(choices)
        return
    models, aliases = program.list_models(settings), program.list_aliases(settings)
    if is_json:
        facts = [{**msgspec.to_builtins(model.facts), "layout": model.layout} for model in models]
        print_json({"models": facts, "aliases": aliases})
    elif are_aliases:
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
    """Show everything known about a model: files and hashes, source, license, template.

    Of a model that is not installed: what the catalogue knows, such as its sources, sizes and format of tool calls.
    """
    description = application(context).describe_model(settings, model)
    if is_json:
        print_json(description)
        return
    for name, value in description.items():
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
