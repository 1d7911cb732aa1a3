"""`finetune`: a model trained on the user's own examples, here and now."""

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
@click.option("--model", required=True, help="The model to train, such as smollm2-135m.")
@click.option("--suffix", help="A word of your own in the new model's name.")
@click.option("--validation", type=_FILE, help="Examples that are not trained on, only looked at.")
@click.option(
    "--method", type=click.Choice(("supervised", "dpo")), default="supervised", show_default=True, help="How."
)
@click.option("--epochs", "n_epochs", type=click.IntRange(1, 50), help="Times that every example is seen.")
@click.option("--batch-size", type=click.IntRange(1, 256), help="Examples of one step.")
@click.option("--learning-rate-multiplier", type=_ABOVE_0, help="Of the usual rate; default: 1.")
@click.option("--prompt-loss-weight", type=click.FloatRange(0, 1), default=0.01, show_default=True, help="Of prompts.")
@click.option("--beta", type=click.FloatRange(0, 2, min_open=True), help="With dpo, how dear leaving the model is.")
@click.option("--classes", type=click.IntRange(2), help="Completions are classes, so many: measure how they are found.")
@click.option("--positive-class", help="Of two classes, the one whose precision and recall are measured.")
@click.option("--f-beta", "betas", type=_ABOVE_0, multiple=True, help="With it, an F-score to measure; default: 1.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another one gives another order.")
@json_flag
@click.pass_context
def finetune(
    context: click.Context, /, settings: Settings, file: Path, model: str, *, is_json: bool, **said: Any
) -> None:
    """Train MODEL on the examples in FILE and install what comes of it, beside the model itself.

    FILE holds a JSON object per line: {"messages": [...]}, or {"prompt": ..., "completion": ...}, or for --method dpo
    {"input", "preferred_output", "non_preferred_output"}. Cut off at any moment, the same command goes on from there. A
    fine-tuned MODEL is trained further.
    """
    suffix, validation = said.pop("suffix"), said.pop("validation")
    method = cast("Method", said.pop("method"))
    asked = Classification(said.pop("classes"), said.pop("positive_class"), said.pop("betas"))
    classes = asked if asked != Classification() else None
    order = TrainingRequest(model, file, validation, suffix, Hyperparameters(method, **said, classification=classes))
    heard: list[StepMetrics] = []
    total = 0
    try:
        with steps(f"training {model}") as bar:

            def hear(told: TrainingEvent) -> None:
                nonlocal total
                if isinstance(told, TrainingPrepared):
                    total = told.steps
                    bar.reach(told.step, total)
                    chosen = told.hyperparameters
                    again = f", going on from step {told.step}" if told.step else ""
                    bar.message(
                        f"{told.examples} examples, {told.tokens} tokens, {chosen.n_epochs} epochs in steps of "
                        f"{chosen.batch_size}{again}"
                    )
                elif isinstance(told, StepMetrics):
                    heard.append(told)
                    bar.reach(told.step, total, f"loss {told.train_loss:.3f}")
                elif isinstance(told, CheckpointSaved):
                    bar.message(_line(told.metrics))

            made = application(context).finetune(settings, order, hear)
    except KeyboardInterrupt:
        echo("Interrupted; the same command goes on where this one stopped.", err=True)
        raise
    if is_json:
        print_json({"model": made.facts.name, "parent": made.parent, "steps": heard})
        return
    echo(f"{made.facts.name} is installed. Ask it: homeport run --model {made.facts.name}")


def _line(one: StepMetrics) -> str:
    seen = f", on the validation file {one.full_valid_loss:.3f}" if one.full_valid_loss is not None else ""
    classes = "".join(f", {name.partition('/')[2]} {value:.3f}" for name, value in one.classification.items())
    return f"step {one.step}: loss {one.train_loss:.3f}{seen}{classes}"
