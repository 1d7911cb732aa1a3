"""A workshop that trains nothing: it reads its files, tells of steps, and can be held at any of them.

Fills `domain.ports.Trainings` for tests of what stands around trainings. What it has made are names.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from homeport.domain.errors import HomeportError, InvalidRequest, ModelNotFound
from homeport.domain.training import (
    CheckpointSaved,
    Hyperparameters,
    Method,
    StepMetrics,
    TrainingEvent,
    TrainingPrepared,
    TrainingResult,
    TrainingTask,
)
from homeport.training import dataset

STEPS, EPOCH = 6, 2
LIMIT_S = 30


class ScriptedTrainingService:
    """What trainings do is set by its attributes.

    `hold_at`: the step before which a training waits until `go` is set or it is stopped; `is_held` tells that it does.
    `before_end` is called when the model is there and its training has not said so yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refusal: HomeportError | None = None
        self.failure: Exception | None = None
        self.hold_at: int | None = None
        self.is_held = threading.Event()
        self.go = threading.Event()
        self.before_end: Callable[[TrainingTask], object] = lambda _: None
        self.models: set[str] = set()
        self.reached: dict[str, int] = {}
        self.runs: list[TrainingTask] = []
        self.started_at: list[int] = []

    def check_model(self, model: str) -> str:
        """Its hash."""
        if self.refusal:
            raise self.refusal
        return f"sha256:{model}"

    def model_name(self, model: str, suffix: str | None, identity: str) -> str:
        """As OpenAI's."""
        if suffix == "refused":
            raise InvalidRequest("Not this one.", param="suffix")
        return f"ft:{model}:homeport:{suffix or ''}:{identity}"

    def check_file(self, file: Path, method: Method, param: str) -> None:
        """Read it, really."""
        dataset.check(file, method, param)

    def prepare_run(self, work: TrainingTask) -> "ScriptedTrainingRun":
        """One of them."""
        return ScriptedTrainingRun(self, work)

    def forget(self, name: str) -> None:
        """Delete a model."""
        if name not in self.models:
            raise ModelNotFound(f"No {name}.")
        self.models.remove(name)


class ScriptedTrainingRun:
    """One training."""

    def __init__(self, shop: ScriptedTrainingService, work: TrainingTask) -> None:
        self._shop = shop
        self._work = work
        self._is_stopped = threading.Event()

    def run(self, hear: Callable[[TrainingEvent], None]) -> TrainingResult | None:
        """Tell of the steps that are left."""
        shop, work = self._shop, self._work
        shop.runs.append(work)
        examples = len(dataset.read(work.training_file, work.hyperparameters.method))
        if work.validation_file is not None:
            dataset.read(work.validation_file, work.hyperparameters.method)
        if shop.failure is not None:
            raise shop.failure
        first = shop.reached.get(work.id, 0)
        shop.started_at.append(first)
        chosen = Hyperparameters(n_epochs=3, batch_size=1, learning_rate_multiplier=1.0, seed=work.hyperparameters.seed)
        hear(TrainingPrepared(examples, 40, STEPS, first, chosen))
        for step in range(first + 1, STEPS + 1):
            if step == shop.hold_at:
                self._hold()
            if self._is_stopped.is_set():
                return None
            received = StepMetrics(step, step * 20, step, 1.0 / step, 0.5, 0.5)
            hear(received)
            shop.reached[work.id] = step
            if step % EPOCH == 0:
                name = f"{work.name}:ckpt-step-{step}"
                shop.models.add(name)
                hear(CheckpointSaved(step, "adapter.gguf", received, name))
        shop.models.add(work.name)
        shop.before_end(work)
        table = shop.folder / f"{work.id}.csv"
        table.write_text("step,train_loss\n1,1.0\n", encoding="utf-8")
        return TrainingResult(work.name, table, 120)

    def stop(self) -> None:
        """End it at the next step."""
        self._is_stopped.set()

    def discard(self) -> None:
        """Forget how far it was, and its checkpoints."""
        self._shop.reached.pop(self._work.id, None)
        start = f"{self._work.name}:ckpt-step-"
        self._shop.models = {name for name in self._shop.models if not name.startswith(start)}

    def _hold(self) -> None:
        self._shop.is_held.set()
        for _ in range(LIMIT_S * 100):
            if self._shop.go.wait(0.01) or self._is_stopped.is_set():
                return
        raise AssertionError("nobody let it go on")
