"""Fine-tuning as values: what is to be trained on what, and what is told while it goes on.

Knows nothing of files' formats, of torch, nor of OpenAI's names for these things.
"""

from pathlib import Path
from typing import Literal

import msgspec

from homeport.domain.errors import ErrorInfo

Method = Literal["supervised", "dpo"]


class Classification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That completions are classes, and what to measure of how they are told apart, at the end of every epoch.

    Two classes are measured by how the `positive_class` is found, and by F-scores with these `betas`; more, by all.
    Classes are compared without the spaces around them.
    """

    n_classes: int | None = None
    positive_class: str | None = None
    betas: tuple[float, ...] = ()


class Hyperparameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to train. None leaves the choice to us, by the number of examples.

    `learning_rate_multiplier` is of our own rate. `prompt_loss_weight` counts in prompts of prompt/completion examples;
    `beta` in preferences: how dear it is to leave the model's own answers.
    `classification` looks at the validation file.
    """

    method: Method = "supervised"
    n_epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    prompt_loss_weight: float = 0.01
    beta: float | None = None
    seed: int = 0
    classification: Classification | None = None


class TrainingSpec(msgspec.Struct, frozen=True):
    """One training. `folder` holds all that it writes and is what it goes on from when it was cut off.

    `weights`: the GGUF that is adapted, `start` an adapter of it to begin with, `digest` the hash of both. `reader`:
    the `module:function` that reads them. `library`: where the kernels are. `memory_bytes`: what the process may take
    at most; None: what is free.
    """

    folder: Path
    weights: Path
    digest: str
    reader: str
    training_file: Path
    validation_file: Path | None = None
    hyperparameters: Hyperparameters = Hyperparameters()
    library: Path | None = None
    threads: int | None = None
    memory_bytes: int | None = None
    initial_adapter: Path | None = None


class TrainingPrepared(msgspec.Struct, frozen=True, tag="prepared"):
    """The files are read and fit. The choices that were left to us are made; `step` is where an earlier run stopped."""

    examples: int
    tokens: int
    steps: int
    step: int
    hyperparameters: Hyperparameters


class StepMetrics(msgspec.Struct, frozen=True, tag="measures"):
    """How a step went. `tokens` and `examples` were trained on so far. Losses are means per token, natural logarithm.

    Accuracies are shares of tokens (`sequence`: of whole answers) that were the likeliest; with preferences, of pairs
    that were told apart. `valid_*`: of some examples not trained on; `full_valid_*`: of all of them. `classification`:
    what was asked for, under the names of the table's columns, such as `classification/accuracy`.
    """

    step: int
    tokens: int
    examples: int
    train_loss: float
    train_token_accuracy: float
    train_sequence_accuracy: float
    valid_loss: float | None = None
    valid_token_accuracy: float | None = None
    valid_sequence_accuracy: float | None = None
    full_valid_loss: float | None = None
    full_valid_token_accuracy: float | None = None
    classification: dict[str, float] = {}


class CheckpointSaved(msgspec.Struct, frozen=True, tag="saved"):
    """An epoch is over; the adapter as it is then stands in a file, and answers under the name `model`, if any."""

    step: int
    file: str
    metrics: StepMetrics
    model: str | None = None


class TrainingFinished(msgspec.Struct, frozen=True, tag="trained"):
    """It is done: the adapter, the table of measures, and how many tokens were trained on, repeats counted."""

    adapter: str
    results: str
    tokens: int


class TrainingFailed(msgspec.Struct, frozen=True, tag="broke"):
    """It failed, and will fail again."""

    fault: ErrorInfo


TrainingEvent = TrainingPrepared | StepMetrics | CheckpointSaved | TrainingFinished | TrainingFailed
"""What a training tells, in this order; after an interruption, steps behind the last kept state are told again."""


class TrainingRequest(msgspec.Struct, frozen=True):
    """What a user asks for: a model trained on a file. `suffix` becomes part of the new model's name."""

    model: str
    training_file: Path
    validation_file: Path | None = None
    suffix: str | None = None
    hyperparameters: Hyperparameters = Hyperparameters()


class TrainingTask(msgspec.Struct, frozen=True):
    """A training that was accepted, as records keep it: under the same `id` it goes on where it was cut off.

    `id`: letters, digits, `-` and `_`. `name`: what the new model will be called. `model`: the real name of the one
    that is trained, of which `digest` is the hash. `project`: whose the new one will be; None: everybody's.
    `keeps_checkpoints`: the last epochs' adapters are models too, called `<name>:ckpt-step-<step>`.
    """

    id: str
    name: str
    model: str
    digest: str
    training_file: Path
    validation_file: Path | None = None
    hyperparameters: Hyperparameters = Hyperparameters()
    project: str | None = None
    keeps_checkpoints: bool = False


class TrainingResult(msgspec.Struct, frozen=True):
    """What came of it: the model, installed; its table of measures; how many tokens were trained on, with repeats."""

    model: str
    results: Path
    tokens: int
