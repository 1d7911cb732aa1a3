"""The JSON of a fine-tuning job in both APIs, whichever of them created it. Knows nothing of requests."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.files.render import FileObject, render_file
from homeport.domain.errors import ErrorInfo, InvalidRequest
from homeport.domain.files import File
from homeport.domain.fine_tuning import FineTuningCheckpoint, FineTuningEvent, FineTuningJob
from homeport.domain.training import Hyperparameters

_AUTO = "auto"
_STATUS_2023: Mapping[str, str] = {"queued": "pending", "validating_files": "pending", "paused": "pending"}
_METRICS = (
    "step",
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
)


class JobHyperparameters(msgspec.Struct, kw_only=True):
    """Hyperparameters in today's API; `beta` only of the method `dpo`."""

    n_epochs: int | str
    batch_size: int | str
    learning_rate_multiplier: float | str
    beta: float | str | UnsetType = UNSET


class JobMethodSettings(msgspec.Struct, kw_only=True):
    """The settings of a method."""

    hyperparameters: JobHyperparameters


class JobMethod(msgspec.Struct, kw_only=True):
    """A method, with its settings under its name."""

    type: str
    supervised: JobMethodSettings | UnsetType = UNSET
    dpo: JobMethodSettings | UnsetType = UNSET


class JobError(msgspec.Struct, kw_only=True):
    """Why a job failed."""

    code: str
    message: str
    param: str | None


class JobObject(msgspec.Struct, kw_only=True):
    """Today's `fine_tuning.job`."""

    object: str = "fine_tuning.job"
    id: str
    model: str
    created_at: int
    finished_at: int | None
    fine_tuned_model: str | None
    organization_id: str
    result_files: list[str]
    status: str
    validation_file: str | None
    training_file: str
    hyperparameters: JobHyperparameters
    trained_tokens: int | None
    error: JobError | None
    integrations: tuple[()] = ()
    seed: int
    estimated_finish: int | None
    method: JobMethod
    metadata: dict[str, str] | None


class JobEventObject(msgspec.Struct, kw_only=True):
    """Today's `fine_tuning.job.event`."""

    object: str = "fine_tuning.job.event"
    id: str
    created_at: int
    level: str
    message: str
    type: str
    data: dict[str, Any] | None


class CheckpointObject(msgspec.Struct, kw_only=True):
    """Today's `fine_tuning.job.checkpoint`."""

    object: str = "fine_tuning.job.checkpoint"
    id: str
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    metrics: dict[str, float]
    step_number: int


class FineTuneHyperparameters(msgspec.Struct, kw_only=True):
    """Hyperparameters in 2023's API; those of classification only if its metrics are computed."""

    n_epochs: int | None
    batch_size: int | None
    learning_rate_multiplier: float | None
    prompt_loss_weight: float
    compute_classification_metrics: bool | UnsetType = UNSET
    classification_n_classes: int | UnsetType | None = UNSET
    classification_positive_class: str | UnsetType | None = UNSET
    classification_betas: tuple[float, ...] | UnsetType | None = UNSET


class FineTuneEventObject(msgspec.Struct, kw_only=True):
    """2023's `fine-tune-event`."""

    object: str = "fine-tune-event"
    created_at: int
    level: str
    message: str


class FineTuneObject(msgspec.Struct, kw_only=True):
    """2023's `fine-tune`. `events`: not in lists."""

    object: str = "fine-tune"
    id: str
    hyperparams: FineTuneHyperparameters
    organization_id: str
    model: str
    training_files: list[FileObject]
    validation_files: list[FileObject]
    result_files: list[FileObject]
    created_at: int
    updated_at: int
    status: str
    fine_tuned_model: str | None
    events: list[FineTuneEventObject] | UnsetType = UNSET


def render_job(job: FineTuningJob, organization: str) -> JobObject:
    """Render a job for today's API."""
    return JobObject(
        id=job.id,
        model=job.asked,
        created_at=job.created_at,
        finished_at=job.finished_at,
        fine_tuned_model=_model_name(job),
        organization_id=organization,
        result_files=[job.result_file] if job.result_file else [],
        status=job.status,
        validation_file=job.validation_file,
        training_file=job.training_file,
        hyperparameters=_render_hyperparameters(job.hyperparameters),
        trained_tokens=job.tokens,
        error=_render_error(job.error),
        seed=job.hyperparameters.seed,
        estimated_finish=job.estimated_finish if job.status == "running" else None,
        method=_render_method(job.hyperparameters),
        metadata=job.metadata,
    )


def render_event(event: FineTuningEvent) -> JobEventObject:
    """Render an event for today's API."""
    return JobEventObject(
        id=event.id,
        created_at=event.created_at,
        level=event.level,
        message=event.message,
        type=event.type,
        data=event.data,
    )


def render_checkpoint(checkpoint: FineTuningCheckpoint) -> CheckpointObject:
    """Render a checkpoint."""
    return CheckpointObject(
        id=checkpoint.id,
        created_at=checkpoint.created_at,
        fine_tuned_model_checkpoint=checkpoint.name,
        fine_tuning_job_id=checkpoint.job,
        metrics={name: checkpoint.metrics[name] for name in _METRICS if name in checkpoint.metrics},
        step_number=checkpoint.step,
    )


def render_fine_tune(
    job: FineTuningJob, organization: str, files: Mapping[str, File], events: Sequence[FineTuningEvent] | None = None
) -> FineTuneObject:
    """Render a job for 2023's API. `files`: those of its files that still exist, by id."""
    return FineTuneObject(
        id=job.id,
        hyperparams=_render_hyperparams_2023(job.hyperparameters),
        organization_id=organization,
        model=job.asked,
        training_files=_render_files(files, job.training_file),
        validation_files=_render_files(files, job.validation_file),
        result_files=_render_files(files, job.result_file),
        created_at=job.created_at,
        updated_at=job.updated_at,
        status=_STATUS_2023.get(job.status, job.status),
        fine_tuned_model=_model_name(job),
        events=UNSET if events is None else list(map(render_fine_tune_event, events)),
    )


def render_fine_tune_event(event: FineTuningEvent) -> FineTuneEventObject:
    """Render an event for 2023's API."""
    return FineTuneEventObject(created_at=event.created_at, level=event.level, message=event.message)


def _render_error(error: ErrorInfo | None) -> JobError | None:
    if error is None:
        return None
    usual = "invalid_request" if error.kind == InvalidRequest.__name__ else "server_error"
    return JobError(code=error.code or usual, message=error.message, param=error.param)


def _render_hyperparameters(chosen: Hyperparameters) -> JobHyperparameters:
    return JobHyperparameters(
        n_epochs=_AUTO if chosen.n_epochs is None else chosen.n_epochs,
        batch_size=_AUTO if chosen.batch_size is None else chosen.batch_size,
        learning_rate_multiplier=_or_auto(chosen.learning_rate_multiplier),
    )


def _render_method(chosen: Hyperparameters) -> JobMethod:
    settings = JobMethodSettings(hyperparameters=_render_hyperparameters(chosen))
    if chosen.method == "dpo":
        settings.hyperparameters.beta = _or_auto(chosen.beta)
        return JobMethod(type="dpo", dpo=settings)
    return JobMethod(type=chosen.method, supervised=settings)


def _render_hyperparams_2023(chosen: Hyperparameters) -> FineTuneHyperparameters:
    values = FineTuneHyperparameters(
        n_epochs=chosen.n_epochs,
        batch_size=chosen.batch_size,
        learning_rate_multiplier=chosen.learning_rate_multiplier,
        prompt_loss_weight=chosen.prompt_loss_weight,
    )
    if chosen.classification is not None:
        values.compute_classification_metrics = True
        values.classification_n_classes = chosen.classification.n_classes
        values.classification_positive_class = chosen.classification.positive_class
        values.classification_betas = chosen.classification.betas or None
    return values


def _or_auto(value: float | None) -> float | str:
    return _AUTO if value is None else value


def _model_name(job: FineTuningJob) -> str | None:
    return job.name if job.status == "succeeded" else None


def _render_files(files: Mapping[str, File], file_id: str | None) -> list[FileObject]:
    file = files.get(file_id or "")
    return [] if file is None else [render_file(file)]
