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


def train_locally(order: TrainingRequest, workshop: LocalTrainingService, hear: Hear) -> TrainingResult:
    """Train as ordered and install what comes of it; what is there already is given at once.

    Raises InvalidRequest for what cannot be trained, and Unavailable where the extra is missing or it was stopped.
    """
    digest = workshop.accept(order.model)
    known = run_id(order, digest)
    work = TrainingTask(
        known,
        workshop.name(order.model, order.suffix, known),
        order.model,
        digest,
        order.training_file,
        order.validation_file,
        order.hyperparameters,
    )
    done = workshop.training(work).run(hear)
    if done is None:
        raise Unavailable("The training was stopped; the same command goes on from there.")
    return done


def run_id(order: TrainingRequest, digest: str) -> str:
    """The same for the same order on the same weights, whose hash is `digest`; letters and digits.

    Raises InvalidRequest where a file cannot be read.
    """
    parts: list[Any] = [digest, order.suffix, order.hyperparameters]
    for file in (order.training_file, order.validation_file):
        try:
            parts.append(hashlib.sha256(file.read_bytes()).hexdigest() if file else None)
        except OSError as error:
            raise InvalidRequest(f"{file} cannot be read: {error.strerror}.") from error
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_LENGTH]
