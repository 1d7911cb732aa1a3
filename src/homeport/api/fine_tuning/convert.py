"""From the bodies of both fine-tuning APIs to the job to create, checks included. Does not read files or models."""

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from homeport.api.fine_tuning.schema import (
    FineTuneBody,
    HyperparametersBody,
    JobBody,
    JobsQuery,
    MethodBody,
    PreferenceHyperparametersBody,
)
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.fine_tuning import NewFineTuningJob
from homeport.domain.models import ResolvedModel
from homeport.domain.training import Classification, Hyperparameters, Method

MAX_EPOCHS, MAX_BATCH_SIZE, MAX_BETA = 50, 256, 2
MAX_SEED = 2**31 - 1
MAX_CLASS_CHARS = 512
MAX_F_BETAS, MAX_CLASSES = 16, 10_000
_MAX_SUFFIX_CHARS_2023, _MAX_SUFFIX_CHARS = 40, 64
_EPOCHS_2023 = 4
_METHODS: tuple[Method, ...] = ("supervised", "dpo")
_AUTO = "auto"
_REINFORCEMENT = "reinforcement"


def to_new_job(
    body: JobBody | FineTuneBody, hyperparameters: Hyperparameters, resolved: ResolvedModel, project: str
) -> NewFineTuningJob:
    """Return the job to create."""
    return NewFineTuningJob(
        project=project,
        requested_model=resolved.requested_name,
        model=resolved.served_model.facts.name,
        training_file=body.training_file,
        validation_file=body.validation_file,
        suffix=body.suffix,
        hyperparameters=hyperparameters,
        metadata=body.metadata if isinstance(body, JobBody) else None,
        id_prefix="ftjob-" if isinstance(body, JobBody) else "ft-",
    )


def to_hyperparameters(body: JobBody | FineTuneBody) -> Hyperparameters:
    """Check a body and return its hyperparameters. Raises InvalidRequest naming the field."""
    return _from_job(body) if isinstance(body, JobBody) else _from_fine_tune(body)


def to_metadata_filter(query: JobsQuery, pairs: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the pairs that listed jobs must have; empty: jobs without metadata; None: all jobs.

    `pairs`: those of the parameters `metadata[key]`. Raises InvalidRequest if `metadata` is not `null`, or occurs
    together with them.
    """
    if query.metadata is None:
        return pairs or None
    if pairs or query.metadata != "null":
        raise InvalidRequest("Give 'metadata[key]=value', or 'metadata=null' alone.", param="metadata")
    return {}


def _from_job(body: JobBody) -> Hyperparameters:
    if body.integrations:
        raise validation.unsupported_field("integrations", "Nothing is sent to other services.")
    validation.check_length("suffix", body.suffix, _MAX_SUFFIX_CHARS, 1)
    validation.check_integer("seed", body.seed, 0, MAX_SEED)
    validation.check_metadata("metadata", body.metadata)
    if body.method is not None and body.hyperparameters is not None:
        raise InvalidRequest(
            "Give 'hyperparameters' inside 'method', not next to it.", param="hyperparameters", code="invalid_value"
        )
    if body.method is not None:
        chosen = _from_method(body.method)
    else:
        chosen = Hyperparameters(**_explicit_values("hyperparameters", body.hyperparameters))
    return msgspec.structs.replace(chosen, seed=random_seed() if body.seed is None else body.seed)


def _from_method(body: MethodBody) -> Hyperparameters:
    if body.type == _REINFORCEMENT:
        raise validation.unsupported_field("method.type", "Reinforcement is not supported: use supervised or dpo.")
    validation.check_choice("method.type", body.type, _METHODS)
    if body.reinforcement is not None:
        raise validation.unsupported_field("method.reinforcement", "Reinforcement is not supported.")
    method: Method = "dpo" if body.type == "dpo" else "supervised"
    given, other = (body.dpo, "supervised") if method == "dpo" else (body.supervised, "dpo")
    if getattr(body, other) is not None:
        raise InvalidRequest(
            f"'method.{other}' is not allowed with the method '{method}'.",
            param=f"method.{other}",
            code="invalid_value",
        )
    values = _explicit_values(f"method.{method}.hyperparameters", given.hyperparameters if given else None)
    return Hyperparameters(method=method, **values)


def _explicit_values(name: str, body: HyperparametersBody | None) -> dict[str, Any]:
    """Check hyperparameters and return those that are not left to the server. `name`: their path in the body."""
    if body is None:
        return {}
    values: dict[str, Any] = {
        field: _without_auto(f"{name}.{field}", getattr(body, field)) for field in body.__struct_fields__
    }
    for field, maximum in (("n_epochs", MAX_EPOCHS), ("batch_size", MAX_BATCH_SIZE)):
        validation.check_integer(f"{name}.{field}", values[field], 1, maximum)
    validation.check_positive(f"{name}.learning_rate_multiplier", values["learning_rate_multiplier"])
    if isinstance(body, PreferenceHyperparametersBody):
        validation.check_positive(f"{name}.beta", values["beta"], MAX_BETA)
    return values


def _from_fine_tune(body: FineTuneBody) -> Hyperparameters:
    validation.check_integer("n_epochs", body.n_epochs, 1, MAX_EPOCHS)
    validation.check_integer("batch_size", body.batch_size, 1, MAX_BATCH_SIZE)
    validation.check_positive("learning_rate_multiplier", body.learning_rate_multiplier)
    validation.check_number("prompt_loss_weight", body.prompt_loss_weight, 0, 1)
    validation.check_length("suffix", body.suffix, _MAX_SUFFIX_CHARS_2023, 1)
    weight = Hyperparameters().prompt_loss_weight if body.prompt_loss_weight is None else body.prompt_loss_weight
    return Hyperparameters(
        n_epochs=body.n_epochs or _EPOCHS_2023,
        batch_size=body.batch_size,
        learning_rate_multiplier=body.learning_rate_multiplier,
        prompt_loss_weight=weight,
        seed=random_seed(),
        classification=_to_classification(body),
    )


def _to_classification(body: FineTuneBody) -> Classification | None:
    """Return the classification metrics to compute. Their fields have no effect otherwise, so they are refused."""
    names = ("classification_n_classes", "classification_positive_class", "classification_betas")
    given = [name for name in names if getattr(body, name) not in (None, [])]
    if not body.compute_classification_metrics:
        if given:
            raise InvalidRequest(f"'{given[0]}' needs 'compute_classification_metrics'.", param=given[0])
        return None
    if body.validation_file is None:
        raise InvalidRequest(
            "'compute_classification_metrics' needs a 'validation_file'.", param="compute_classification_metrics"
        )
    if body.classification_n_classes is None and body.classification_positive_class is None:
        raise InvalidRequest(
            "'compute_classification_metrics' needs 'classification_n_classes', or for two classes "
            "'classification_positive_class'.",
            param="compute_classification_metrics",
        )
    validation.check_integer("classification_n_classes", body.classification_n_classes, 2, MAX_CLASSES)
    validation.check_length("classification_positive_class", body.classification_positive_class, MAX_CLASS_CHARS, 1)
    betas = tuple(body.classification_betas or ())
    validation.check_items("classification_betas", betas, MAX_F_BETAS)
    for beta in betas:
        validation.check_positive("classification_betas", beta)
    if betas and body.classification_positive_class is None:
        raise InvalidRequest(
            "'classification_betas' needs 'classification_positive_class'.", param="classification_betas"
        )
    return Classification(body.classification_n_classes, body.classification_positive_class, betas)


def random_seed() -> int:
    """Return a seed for a job without one."""
    return secrets.randbelow(MAX_SEED + 1)


def _without_auto(name: str, value: float | str | None) -> float | None:
    if isinstance(value, str):
        validation.check_choice(name, value, (_AUTO,))
        return None
    return value
