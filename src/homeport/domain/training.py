"""Training as values: the model, the examples, the hyperparameters, and the events while it runs.

Knows nothing of file formats, of torch, nor of OpenAI's names for these things.
"""

from pathlib import Path
from typing import Literal

import msgspec

from homeport.domain.errors import ErrorInfo

Method = Literal["supervised", "dpo"]

MAX_CHECKPOINTS = 3
"""The number of checkpoints that a training run keeps: those of the last epochs."""


class Classification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Completions are class labels: which metrics to compute at the end of every epoch.

    With two classes: precision, recall and F-scores with these `betas`, of the `positive_class`; with more: metrics
    over all classes. Labels are compared without surrounding spaces.
    """

    n_classes: int | None = None
    positive_class: str | None = None
    betas: tuple[float, ...] = ()


class Hyperparameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to train. None: Homeport chooses, by the number of examples.

    `learning_rate_multiplier` multiplies Homeport's own rate. `prompt_loss_weight` weights the prompts of
    prompt/completion examples; `beta`: DPO's penalty for diverging from the base model. `classification` uses the
    validation file.
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
    """One training run. `folder` holds all that it writes; a later run on the same folder resumes from there.

    `weights`: the GGUF of the base model, `initial_adapter` an adapter of it to start from, `digest` the hash of both.
    `reader`: the `module:function` that reads them. `library`: the path of the kernels. `memory_bytes`: the limit of
    the process; None: what is free.
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
    """The files are read and valid. Hyperparameters are resolved; `step` is the one to resume from."""

    examples: int
    tokens: int
    steps: int
    step: int
    hyperparameters: Hyperparameters


class StepMetrics(msgspec.Struct, frozen=True, tag="measures"):
    """Metrics of a step. `tokens` and `examples` are totals so far. Losses are means per token, in nats.

    Accuracies are shares of tokens (`sequence`: of whole answers) that were the most likely; with preferences, of pairs
    ranked correctly. `valid_*`: of some validation examples; `full_valid_*`: of all of them. `classification`: the
    requested metrics, under the names of the table's columns, such as `classification/accuracy`.
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
    """An epoch has ended; its adapter is in a file and, if `model` is set, served under that name."""

    step: int
    file: str
    metrics: StepMetrics
    model: str | None = None


class TrainingFinished(msgspec.Struct, frozen=True, tag="trained"):
    """The run is complete: the adapter, the table of metrics, the number of trained tokens, counting repetitions."""

    adapter: str
    results: str
    tokens: int


class TrainingFailed(msgspec.Struct, frozen=True, tag="broke"):
    """The run failed, and will fail again."""

    fault: ErrorInfo


TrainingEvent = TrainingPrepared | StepMetrics | CheckpointSaved | TrainingFinished | TrainingFailed
"""Events of a run, in this order; after an interruption, steps after the last checkpoint are reported again."""


class TrainingRequest(msgspec.Struct, frozen=True):
    """What a user requests: a model trained on a file. `suffix` becomes part of the new model's name."""

    model: str
    training_file: Path
    validation_file: Path | None = None
    suffix: str | None = None
    hyperparameters: Hyperparameters = Hyperparameters()


class TrainingTask(msgspec.Struct, frozen=True):
    """An accepted training run: a run with the same `id` resumes where an earlier one was interrupted.

    `id`: letters, digits, `-` and `_`. `name`: that of the new model. `model`: the real name of the base model,
    `digest` its hash. `project`: the new model's owner; None: it is public. `keeps_checkpoints`: the adapters of the
    last epochs become models too, named `<name>:ckpt-step-<step>`.
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
    """The result of a run: the installed model, its table of metrics, the trained tokens, counting repetitions."""

    model: str
    results: Path
    tokens: int
