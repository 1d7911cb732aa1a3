"""A fine-tune asked for on the command line: trained here and now, then installed.

What it is called and where its work lies follow from what is asked, so that the same command goes on where it was cut
off. Knows nothing of the store: how a model is installed is handed in.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.models import ADAPTER, Installed
from homeport.domain.tuning import TuningJob, TuningOrder
from homeport.tuning.trainer import Hear, Trainer

Install = Callable[[str, str, Mapping[str, Path], str], Installed]
"""Installs under a name what adapts a model: its files by role, and its source in words."""

SUFFIX_CHARACTERS = 64  # as OpenAI's
_LENGTH = 8


class Ground(msgspec.Struct, frozen=True):
    """What trainings stand on here. `folder`: where they work; `digest`: of the model's files; the rest as in a job."""

    organization: str
    folder: Path
    digest: str
    reader: str
    library: Path | None = None
    threads: int | None = None


class Shelf(Protocol):
    """Where models are."""

    def find(self, name: str) -> Installed | None:
        """The model of this name, or None."""
        ...


def train(
    order: TuningOrder, model: Installed, ground: Ground, shelf: Shelf, install: Install, hear: Hear
) -> Installed:
    """Train `model` as ordered and install what comes of it; what is on the shelf already is given at once.

    Raises InvalidRequest for what cannot be trained, and Unavailable where the extra is missing or it was stopped.
    """
    if model.parent or "weights-2" in model.files or "weights" not in model.files:
        raise InvalidRequest(f"`{model.facts.name}` cannot be fine-tuned: it must be a model in one GGUF file.")
    known = identity(order, ground.digest)
    name = model_name(model.facts.name, ground.organization, order.suffix, known)
    if found := shelf.find(name):
        return found
    job = TuningJob(
        ground.folder / known,
        model.files["weights"],
        ground.digest,
        ground.reader,
        order.training_file,
        order.validation_file,
        order.hyperparameters,
        ground.library,
        ground.threads,
    )
    trainer = Trainer(job)
    done = trainer.run(hear)
    if done is None:
        raise Unavailable("The training was stopped; the same command goes on from there.")
    files = {ADAPTER: job.folder / done.adapter, "results": job.folder / done.results}
    made = install(name, model.facts.name, files, f"fine-tuned here on {order.training_file.name}")
    trainer.discard()
    return made


def identity(order: TuningOrder, digest: str) -> str:
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


def model_name(model: str, organization: str, suffix: str | None, identity: str) -> str:
    """`ft:model:organization:suffix:identity`. Raises InvalidRequest for a suffix that is too long."""
    if suffix is not None and len(suffix) > SUFFIX_CHARACTERS:
        raise InvalidRequest(f"A suffix has {SUFFIX_CHARACTERS} characters at most.", param="suffix")
    parts: Sequence[str] = (model, _plain(organization), _plain(suffix or ""), identity)
    return ":".join(("ft", *parts))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")
