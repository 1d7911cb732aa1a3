"""A fine-tuning run of the command line: trains in this process's child, and installs the result.

Its name and its folder follow from the arguments, so that rerunning the command resumes.
"""

import hashlib
from typing import Any

import msgspec

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.training import TrainingRequest, TrainingResult, TrainingTask
from homeport.training.process import OnEvent
from homeport.training.service import LocalTrainingService

_LENGTH = 8


def train_locally(
    training_request: TrainingRequest, service: LocalTrainingService, on_event: OnEvent
) -> TrainingResult:
    """Train, install the result and return it; a finished result is returned at once.

    Raises InvalidRequest for what cannot be trained, and Unavailable if the extra is missing or the run was stopped.
    """
    digest = service.check_model(training_request.model)
    id = run_id(training_request, digest)
    task = TrainingTask(
        id,
        service.model_name(training_request.model, training_request.suffix, id),
        training_request.model,
        digest,
        training_request.training_file,
        training_request.validation_file,
        training_request.hyperparameters,
    )
    result = service.prepare_run(task).run(on_event)
    if result is None:
        raise Unavailable("The training was stopped. Rerun the same command to resume.")
    return result


def run_id(training_request: TrainingRequest, digest: str) -> str:
    """Return an id that is the same for the same request on the same weights (`digest`); letters and digits.

    Raises InvalidRequest if a file cannot be read.
    """
    parts: list[Any] = [digest, training_request.suffix, training_request.hyperparameters]
    for file in (training_request.training_file, training_request.validation_file):
        try:
            parts.append(hashlib.sha256(file.read_bytes()).hexdigest() if file else None)
        except OSError as error:
            raise InvalidRequest(f"{file} cannot be read: {error.strerror}.") from error
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_LENGTH]
