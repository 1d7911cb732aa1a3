"""`finetune`: trains a model on the user's own examples, without a server."""

from pathlib import Path
from typing import Any, cast

import click

from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, json_flag, print_json, steps
from homeport.domain.training import (
    CheckpointSaved,
    Classification,
    Hyperparameters,
    Method,
    StepMetrics,
    TrainingEvent,
    TrainingPrepared,
    TrainingRequest,
)
from homeport.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ABOVE_0 = click.FloatRange(0, min_open=True)


@click.command(cls=SettingsCommand, settings=("home", "threads", "llama_lib"))
@click.argument("file", type=_FILE)
@click.option("--model", required=True, help="Model to train, such as smollm2-135m.")
@click.option("--suffix", help="Text to include in the new model's name.")
@click.option("--validation", type=_FILE, help="File of examples for validation.")
@click.option(
    "--method", type=click.Choice(("supervised", "dpo")), default="supervised", show_default=True, help="Method."
)
@click.option("--epochs", "n_epochs", type=click.IntRange(1, 50), help="Number of epochs.")
@click.option("--batch-size", type=click.IntRange(1, 256), help="Examples per step.")
@click.option("--learning-rate-multiplier", type=_ABOVE_0, help="Factor of the default learning rate; default: 1.")
@click.option(
    "--prompt-loss-weight",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Weight of prompt tokens in the loss.",
)
@click.option(
    "--beta", type=click.FloatRange(0, 2, min_open=True), help="DPO only: penalty for diverging from the base model."
)
@click.option(
    "--classes",
    type=click.IntRange(2),
    help="Number of classes, if completions are class labels; enables classification metrics.",
)
@click.option("--positive-class", help="Of two classes, the one whose precision and recall are measured.")
@click.option(
    "--f-beta",
    "betas",
    type=_ABOVE_0,
    multiple=True,
    help="With --positive-class: beta of an F-score to measure; may be repeated; default: 1.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order of examples.")
@json_flag
@click.pass_context
def finetune(
    context: click.Context, /, settings: Settings, file: Path, model: str, *, is_json: bool, **options: Any
) -> None:
    """Train MODEL on the examples in FILE and install the result as a new model.

    Each line of FILE is a JSON object: {"messages": [...]}, or {"prompt": ..., "completion": ...}, or for --method dpo
    {"input", "preferred_output", "non_preferred_output"}. If the command is interrupted, rerun it to resume. MODEL may
    be a fine-tuned model, which is then trained further.
    """
    suffix, validation = options.pop("suffix"), options.pop("validation")
    method = cast("Method", options.pop("method"))
    classification = Classification(options.pop("classes"), options.pop("positive_class"), options.pop("betas"))
    hyperparameters = Hyperparameters(
        method, **options, classification=classification if classification != Classification() else None
    )
    training_request = TrainingRequest(model, file, validation, suffix, hyperparameters)
    metrics: list[StepMetrics] = []
    total = 0
    try:
        with steps(f"training {model}") as bar:

            def on_event(event: TrainingEvent) -> None:
                nonlocal total
                if isinstance(event, TrainingPrepared):
                    total = event.steps
                    bar.reach(event.step, total)
                    bar.message(_format_start(event))
                elif isinstance(event, StepMetrics):
                    metrics.append(event)
                    bar.reach(event.step, total, f"loss {event.train_loss:.3f}")
                elif isinstance(event, CheckpointSaved):
                    bar.message(_format_metrics(event.metrics))

            trained = application(context).finetune(settings, training_request, on_event)
    except KeyboardInterrupt:
        echo("Interrupted. Rerun the same command to resume.", err=True)
        raise
    name = trained.facts.name
    if is_json:
        print_json({"model": name, "parent": trained.parent, "steps": metrics})
        return
    echo(f"{name} is installed. Try it: homeport run {name}")


def _format_start(prepared: TrainingPrepared) -> str:
    chosen = prepared.hyperparameters
    resumed = f", resuming at step {prepared.step}" if prepared.step else ""
    return (
        f"{prepared.examples} examples, {prepared.tokens} tokens, {chosen.n_epochs} epochs in steps of "
        f"{chosen.batch_size}{resumed}"
    )


def _format_metrics(metrics: StepMetrics) -> str:
    validation = "" if metrics.full_valid_loss is None else f", validation loss {metrics.full_valid_loss:.3f}"
    classes = "".join(f", {name.partition('/')[2]} {value:.3f}" for name, value in metrics.classification.items())
    return f"step {metrics.step}: loss {metrics.train_loss:.3f}{validation}{classes}"
