"""A fine-tune asked for on the command line: trained here and now, then installed.

What it is called and where its work lies follow from what is asked, so that the same command goes on where it was cut
off.
"""

import hashlib
from typing import Any

import msgspec

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.training import TrainingRequest, TrainingResult, TrainingTask
from homeport.training.process import Hear
from homeport.training.service import LocalTrainingService

_LENGTH = 8


def train_locally(training_request: TrainingRequest, service: LocalTrainingService, on_event: Hear) -> TrainingResult:
    """Train as ordered and install what comes of it; what is there already is given at once.

    Raises InvalidRequest for what cannot be trained, and Unavailable where the extra is missing or it was stopped.
    """
    digest = service.check_model(training_request.model)
    known = run_id(training_request, digest)
    work = TrainingTask(
        known,
        service.model_name(training_request.model, training_request.suffix, known),
        training_request.model,
        digest,
        training_request.training_file,
        training_request.validation_file,
        training_request.hyperparameters,
    )
    done = service.prepare_run(work).run(on_event)
    if done is None:
        raise Unavailable("The training was stopped; the same command goes on from there.")
    return done


def run_id(training_request: TrainingRequest, digest: str) -> str:
    """The same for the same order on the same weights, whose hash is `digest`; letters and digits.

    Raises InvalidRequest where a file cannot be read.
    """
    parts: list[Any] = [digest, training_request.suffix, training_request.hyperparameters]
    for file in (training_request.training_file, training_request.validation_file):
        try:
            parts.append(hashlib.sha256(file.read_bytes()).hexdigest() if file else None)
        except OSError as error:
            raise InvalidRequest(f"{file} cannot be read: {error.strerror}.") from error
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_LENGTH]
