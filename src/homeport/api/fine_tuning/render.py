"""A fine-tuning job as each of the two APIs tells of it, whichever of them asked for it. Pure."""

from collections.abc import Mapping, Sequence

from homeport.api.files.routes import render_file as described_file
from homeport.domain.errors import ErrorInfo, InvalidRequest
from homeport.domain.files import File
from homeport.domain.fine_tuning import FineTuningCheckpoint, FineTuningEvent, FineTuningJob
from homeport.domain.training import Hyperparameters

_AUTO = "auto"
_STATUS_2023: Mapping[str, str] = {"queued": "pending", "validating_files": "pending", "paused": "pending"}
_MEASURES = (
    "step",
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
)


def render_job(job: FineTuningJob, organization: str) -> dict[str, object]:
    """Today's `fine_tuning.job`."""
    chosen = job.hyperparameters
    values = _chosen(chosen)
    own = values | ({"beta": _or_auto(chosen.beta)} if chosen.method == "dpo" else {})
    error = job.error
    return {
        "object": "fine_tuning.job",
        "id": job.id,
        "model": job.asked,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "fine_tuned_model": _model(job),
        "organization_id": organization,
        "result_files": [job.result_file] if job.result_file else [],
        "status": job.status,
        "validation_file": job.validation_file,
        "training_file": job.training_file,
        "hyperparameters": values,
        "trained_tokens": job.tokens,
        "error": None
        if error is None
        else {"code": error.code or _code(error), "message": error.message, "param": error.param},
        "integrations": [],
        "seed": chosen.seed,
        "estimated_finish": job.estimated_finish if job.status == "running" else None,
        "method": {"type": chosen.method, chosen.method: {"hyperparameters": own}},
        "metadata": job.metadata,
    }


def render_event(event: FineTuningEvent) -> dict[str, object]:
    """Today's `fine_tuning.job.event`."""
    return {
        "object": "fine_tuning.job.event",
        "id": event.id,
        "created_at": event.created_at,
        "level": event.level,
        "message": event.message,
        "type": event.type,
        "data": event.data,
    }


def render_checkpoint(checkpoint: FineTuningCheckpoint) -> dict[str, object]:
    """Today's `fine_tuning.job.checkpoint`."""
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": checkpoint.id,
        "created_at": checkpoint.created_at,
        "fine_tuned_model_checkpoint": checkpoint.name,
        "fine_tuning_job_id": checkpoint.job,
        "metrics": {name: checkpoint.metrics[name] for name in _MEASURES if name in checkpoint.metrics},
        "step_number": checkpoint.step,
    }


def render_fine_tune(job: FineTuningJob, organization: str, files: Mapping[str, File]) -> dict[str, object]:
    """2023's `fine-tune`. `files`: those of its files that are there still, by id."""
    return {
        "object": "fine-tune",
        "id": job.id,
        "hyperparams": _hyperparams(job.hyperparameters),
        "organization_id": organization,
        "model": job.asked,
        "training_files": _files(files, job.training_file),
        "validation_files": _files(files, job.validation_file),
        "result_files": _files(files, job.result_file),
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "status": _STATUS_2023.get(job.status, job.status),
        "fine_tuned_model": _model(job),
    }


def render_fine_tune_events(events: Sequence[FineTuningEvent]) -> list[dict[str, object]]:
    """2023's `fine-tune-event`s."""
    return [
        {
            "object": "fine-tune-event",
            "created_at": each.created_at,
            "level": each.level,
            "message": each.message,
        }
        for each in events
    ]


def _code(error: ErrorInfo) -> str:
    return "invalid_request" if error.kind == InvalidRequest.__name__ else "server_error"


def _chosen(chosen: Hyperparameters) -> dict[str, object]:
    return {
        "n_epochs": _or_auto(chosen.n_epochs),
        "batch_size": _or_auto(chosen.batch_size),
        "learning_rate_multiplier": _or_auto(chosen.learning_rate_multiplier),
    }


def _hyperparams(chosen: Hyperparameters) -> dict[str, object]:
    values: dict[str, object] = {
        "n_epochs": chosen.n_epochs,
        "batch_size": chosen.batch_size,
        "learning_rate_multiplier": chosen.learning_rate_multiplier,
        "prompt_loss_weight": chosen.prompt_loss_weight,
    }
    if chosen.classification is not None:
        classes = chosen.classification
        values |= {
            "compute_classification_metrics": True,
            "classification_n_classes": classes.n_classes,
            "classification_positive_class": classes.positive_class,
            "classification_betas": list(classes.betas) or None,
        }
    return values


def _or_auto(value: float | None) -> float | str:
    return _AUTO if value is None else value


def _model(found: FineTuningJob) -> str | None:
    return found.name if found.status == "succeeded" else None


def _files(files: Mapping[str, File], file_id: str | None) -> list[dict[str, object]]:
    found = files.get(file_id or "")
    return [] if found is None else [described_file(found)]
