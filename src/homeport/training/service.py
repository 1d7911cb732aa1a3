"""Where models are trained and put on the shelf: work that was accepted goes in, a model that can be asked comes out.

Fills `domain.ports.Trainings`. Knows nothing of records, nor of where models lie: a shelf is handed in.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from homeport.domain.errors import InvalidRequest, ModelNotFound
from homeport.domain.models import ADAPTER, InstalledModel
from homeport.domain.training import (
    CheckpointSaved,
    Method,
    TrainingEvent,
    TrainingFinished,
    TrainingResult,
    TrainingSpec,
    TrainingTask,
)
from homeport.training import dataset, metrics_table
from homeport.training.process import Hear, TrainingProcess, require_torch
from homeport.training.schedule import MAX_CHECKPOINTS

MAX_SUFFIX_CHARACTERS = 64  # as OpenAI's
_WEIGHTS, _REST = "weights", "weights-2"
_CHECKPOINT = ":ckpt-step-"


class TrainingEnvironment(msgspec.Struct, frozen=True):
    """What trainings stand on here. `folder`: where they work; `environment`: their processes'; else as in a job."""

    organization: str
    folder: Path
    reader: str
    library: Path | None = None
    threads: int | None = None
    memory_bytes: int | None = None
    environment: Mapping[str, str] | None = None


class AdapterStore(Protocol):
    """Where models are, as they were fetched."""

    def find(self, name: str) -> InstalledModel | None:
        """The model of this name, or None."""
        ...

    def install(
        self, name: str, parent: str, files: Mapping[str, Path], source: str, project: str | None
    ) -> InstalledModel:
        """Install what adapts a model: its files by role are moved away, its source is told in words."""
        ...

    def parent(self, tuned: InstalledModel) -> InstalledModel | None:
        """The model that a fine-tuned one adapts, if it is as it was then."""
        ...

    def remove(self, name: str) -> None:
        """Delete a model. Raises ModelNotFound."""
        ...

    def names(self) -> Sequence[str]:
        """The names of all models."""
        ...


class LocalTrainingService:
    """Trains models. Any number of trainings may run at once, each in a process of its own."""

    def __init__(self, ground: TrainingEnvironment, shelf: AdapterStore) -> None:
        self._ground = ground
        self._shelf = shelf

    def check_model(self, model: str) -> str:
        """The hash of what would be trained. Raises Unavailable, ModelNotFound, InvalidRequest."""
        require_torch()
        return _digest(*self._find_model(model))

    def model_name(self, model: str, suffix: str | None, identity: str) -> str:
        """`ft:model:organization:suffix:identity`; `model` itself, or what it adapts. Raises InvalidRequest."""
        if suffix is not None and len(suffix) > MAX_SUFFIX_CHARACTERS:
            raise InvalidRequest(f"A suffix has {MAX_SUFFIX_CHARACTERS} characters at most.", param="suffix")
        found = self._shelf.find(model)
        base = found.parent if found and found.parent else model
        return ":".join(("ft", base, _plain(self._ground.organization), _plain(suffix or ""), identity))

    def check_file(self, file: Path, method: Method, param: str) -> None:
        """Read a file as examples for a method. Raises InvalidRequest that names the field and the line."""
        dataset.check(file, method, param)

    def prepare_run(self, task: TrainingTask) -> "LocalTrainingRun":
        """The training of this work. Raises InvalidRequest where its model has changed since it was accepted."""
        model, start = self._find_model(task.model)
        if _digest(model, start) != task.digest:
            raise InvalidRequest(f"The files of `{task.model}` were replaced since then.", param="model")
        ground = self._ground
        job = TrainingSpec(
            ground.folder / task.id,
            model.files[_WEIGHTS],
            task.digest,
            ground.reader,
            task.training_file,
            task.validation_file,
            task.hyperparameters,
            ground.library,
            ground.threads,
            ground.memory_bytes,
            start.files[ADAPTER] if start else None,
        )
        return LocalTrainingRun(
            msgspec.structs.replace(task, model=model.facts.name), TrainingProcess(job, ground.environment), self._shelf
        )

    def _find_model(self, name: str) -> tuple[InstalledModel, InstalledModel | None]:
        """The model in whose weights to train, and the fine-tuned one to begin with, if such a one is named."""
        model = self._shelf.find(name)
        start = model if model and model.parent else None
        if start:
            model = self._shelf.parent(start)
        if model is None:
            raise ModelNotFound(f"The model `{name}` is not installed, or not what it adapts.", param="model")
        if _REST in model.files or _WEIGHTS not in model.files:
            raise InvalidRequest(f"`{name}` cannot be fine-tuned: its weights must be one GGUF file.", param="model")
        return model, start


class LocalTrainingRun:
    """One piece of work. `stop` may be called from any thread; the rest blocks."""

    def __init__(self, work: TrainingTask, trainer: TrainingProcess, shelf: AdapterStore) -> None:
        self._work = work
        self._trainer = trainer
        self._shelf = shelf

    def run(self, on_event: Hear) -> TrainingResult | None:
        """Train to the end and install what comes of it; None where it was stopped. What is there is given at once."""
        name = self._work.name
        if (found := self._shelf.find(name)) is None:
            done = self._trainer.run(lambda told: on_event(self._install_checkpoint(told)))
            if done is None:
                return None
            found = self._install(name, done)
        self._trainer.discard()
        table = found.files[metrics_table.ROLE]
        return TrainingResult(name, table, metrics_table.trained_tokens(table.read_text(encoding="utf-8")))

    def stop(self) -> None:
        """End it after the step under way, also before it runs; the same work goes on from there."""
        self._trainer.stop()

    def discard(self) -> None:
        """Remove all that it wrote but the model that it ended with. Not while it runs."""
        self._trainer.discard()
        for name in self._checkpoints().values():
            self._shelf.remove(name)

    def _install(self, name: str, done: TrainingFinished) -> InstalledModel:
        folder, work = self._trainer.folder, self._work
        files = {ADAPTER: folder / done.adapter, metrics_table.ROLE: folder / done.results}
        source = f"fine-tuned here on {work.training_file.name}"
        return self._shelf.install(name, work.model, files, source, work.project)

    def _install_checkpoint(self, told: TrainingEvent) -> TrainingEvent:
        """The same; what was saved becomes a model where that is wanted, and those of long ago go."""
        work = self._work
        if not isinstance(told, CheckpointSaved) or not work.keeps_checkpoints:
            return told
        name = f"{work.name}{_CHECKPOINT}{told.step}"
        if self._shelf.find(name) is None:
            files = {ADAPTER: self._trainer.folder / told.file}
            self._shelf.install(name, work.model, files, f"step {told.step} of {work.name}", work.project)
        found = self._checkpoints()
        for step in sorted(found)[:-MAX_CHECKPOINTS]:
            self._shelf.remove(found[step])
        return msgspec.structs.replace(told, model=name)

    def _checkpoints(self) -> dict[int, str]:
        """The names of the models it has left on the way, by step."""
        start = f"{self._work.name}{_CHECKPOINT}"
        return {int(name.removeprefix(start)): name for name in self._shelf.names() if name.startswith(start)}


def _digest(model: InstalledModel, start: InstalledModel | None) -> str:
    return f"{model.digest}+{start.digest}" if start else model.digest


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")
