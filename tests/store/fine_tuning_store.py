"""The repositories of fine-tuning jobs on one database and one folder."""

from pathlib import Path
from typing import Any

from homeport.domain.fine_tuning import FineTuningEvent, FineTuningJob
from homeport.domain.paging import PageRequest
from homeport.domain.training import (
    Hyperparameters,
    StepMetrics,
    TrainingPrepared,
    TrainingResult,
)
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.fine_tuning import SqlFineTuningRepository
from homeport.store.training_queue import SqlTrainingQueue

CHOSEN = Hyperparameters(n_epochs=3, batch_size=1, learning_rate_multiplier=1.0, beta=0.1, seed=7)
PREPARED = TrainingPrepared(examples=2, tokens=40, steps=6, step=0, hyperparameters=CHOSEN)


class FineTuningStore:
    """Jobs, their queue and files. `now`: the wall clock."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.now = 1_700_000_000.0
        self.folder = folder
        self.files = SqlFileRepository(database, BlobStore(str(folder / "blobs")), lambda: self.now)
        self.repository = SqlFineTuningRepository(database, lambda: self.now)
        self.queue = SqlTrainingQueue(database, self.files, lambda: self.now)

    def job(self, job_id: str, most_waiting: int = 100, **changes: Any) -> FineTuningJob:
        """Create a job of project `one` on server `here`."""
        given: dict[str, Any] = {
            "project": "one",
            "server": "here",
            "asked": "curie",
            "model": "tiny",
            "digest": "d",
            "name": f"ft:tiny:homeport::{job_id}",
            "training_file": "file-1",
            "hyperparameters": Hyperparameters(seed=7),
            **changes,
        }
        return self.repository.create(FineTuningJob(id=job_id, **given), most_waiting)

    def under_way(self, job_id: str) -> FineTuningJob:
        """Create a job and start its training."""
        job = self.job(job_id)
        assert self.queue.start(job)
        assert self.queue.record_prepared(job, PREPARED)
        return job

    def status(self, job: FineTuningJob) -> str:
        """Return the status of a job."""
        return self.repository.get(job.project, job.id).status

    def received(self, job: FineTuningJob) -> list[FineTuningEvent]:
        """Return all events of a job, in order."""
        return list(self.repository.list_events(job.project, job.id, PageRequest(is_newest_first=False)).items)

    def messages(self, job: FineTuningJob) -> list[str]:
        """Return the messages of these events."""
        return [event.message for event in self.received(job)]

    def made(self, job: FineTuningJob) -> TrainingResult:
        """Return the result of a training."""
        table = self.folder / "results.csv"
        table.write_text("step,train_loss\n1,0.5\n", encoding="utf-8")
        return TrainingResult(job.name, table, 120)


def measures(step: int, **more: Any) -> StepMetrics:
    """Return the metrics of a step."""
    return StepMetrics(step, step * 20, step, 1.0 / step, 0.5, 0.25, **more)
