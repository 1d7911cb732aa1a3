"""The bodies of fine-tuning jobs of 2023's API and of today's, and the query parameters of lists."""

from typing import Annotated, Any

import msgspec

from homeport.api.compatibility import refused, served
from homeport.api.paging import PageQuery

_VALIDATION_FILE = served("A file in the same format; its examples are evaluated, not trained on.")


class HyperparametersBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Hyperparameters of today's API; with `auto` and null the server chooses."""

    n_epochs: Annotated[int | str | None, served("1 to 50; auto: depends on the number of examples.")] = None
    batch_size: Annotated[int | str | None, served("1 to 256; auto: 0.2 % of the examples.")] = None
    learning_rate_multiplier: Annotated[
        float | str | None, served("Above 0; multiplies this server's rate for LoRA factors, 0.001; auto: 1.")
    ] = None


class PreferenceHyperparametersBody(HyperparametersBody, forbid_unknown_fields=True, kw_only=True):
    """Hyperparameters of the method `dpo`."""

    beta: Annotated[float | str | None, served("Above 0, at most 2; auto: 0.1.")] = None


class SupervisedBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The settings of the method `supervised`."""

    hyperparameters: Annotated[
        HyperparametersBody | None, served("n_epochs, batch_size and learning_rate_multiplier, as below.")
    ] = None


class PreferenceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The settings of the method `dpo`."""

    hyperparameters: Annotated[
        PreferenceHyperparametersBody | None, served("The same, and beta: above 0, at most 2; auto: 0.1.")
    ] = None


class MethodBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The method and its settings."""

    type: Annotated[str, served("supervised or dpo.")]
    supervised: Annotated[SupervisedBody | None, served("Only with the type of this name.")] = None
    dpo: Annotated[PreferenceBody | None, served("Only with the type of this name.")] = None
    reinforcement: Annotated[Any, refused("Not served; neither is the type of this name.")] = None


class JobBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of today's API."""

    model: Annotated[str, served("A text model in one GGUF file, or a name that stands for one.")]
    training_file: Annotated[
        str,
        served(
            "A file with purpose fine-tune: JSON Lines of prompt and completion, or of messages; for dpo, of "
            "an input and two outputs."
        ),
    ]
    validation_file: Annotated[str | None, _VALIDATION_FILE] = None
    method: Annotated[MethodBody | None, served("Default supervised.")] = None
    hyperparameters: Annotated[
        HyperparametersBody | None,
        served("The former place of the method's hyperparameters; not together with `method`."),
    ] = None
    suffix: Annotated[str | None, served("1 to 64 characters.")] = None
    seed: Annotated[
        int | None, served("0 to 2147483647; default random. The same seed gives the same order of examples.")
    ] = None
    metadata: Annotated[dict[str, str] | None, served("Up to 16 pairs; lists can be filtered by them.")] = None
    integrations: Annotated[
        list[Any] | None, refused("Nothing is sent to other services; an empty list is accepted.")
    ] = None


class FineTuneBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of 2023's API."""

    training_file: Annotated[
        str, served("A file with purpose fine-tune: JSON Lines of prompt and completion, or of messages.")
    ]
    validation_file: Annotated[str | None, _VALIDATION_FILE] = None
    model: Annotated[
        str | None, served("A text model in one GGUF file, or a name that stands for one; default curie.")
    ] = None
    n_epochs: Annotated[int | None, served("1 to 50; default 4.")] = None
    batch_size: Annotated[int | None, served("1 to 256; default: 0.2 % of the examples.")] = None
    learning_rate_multiplier: Annotated[
        float | None, served("Above 0; multiplies this server's rate for LoRA factors, 0.001; default 1.")
    ] = None
    prompt_loss_weight: Annotated[float | None, served("0 to 1; default 0.01.")] = None
    compute_classification_metrics: Annotated[
        bool | None, served("Measured on the validation file after each epoch; written to the result file.")
    ] = None
    classification_n_classes: Annotated[
        int | None, served("2 to 10000; must equal the number of classes in the files.")
    ] = None
    classification_positive_class: Annotated[
        str | None, served("A completion in the files; adds its precision, recall and F-scores.")
    ] = None
    classification_betas: Annotated[list[float] | None, served("Above 0; only with a positive class.")] = None
    suffix: Annotated[str | None, served("1 to 40 characters.")] = None


class JobsQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of jobs; `metadata` is `null` for jobs without metadata."""

    metadata: str | None = None


class CheckpointsQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of checkpoints."""

    limit: int = 10


class EventsQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of events in 2023's API. `stream`: send events as they occur."""

    stream: bool = False
