"""The books of fine-tuning jobs on one database and one folder, and what is written into them."""

from pathlib import Path
from typing import Any

from homeport.domain.fine_tuning import FineTune, JobEvent, Page
from homeport.domain.training import (
    Hyperparameters,
    Measures,
    Prepared,
    Tuned,
)
from homeport.store.blobs import Blobs
from homeport.store.database import Database
from homeport.store.files import FileBook
from homeport.store.fine_tuning import FineTuneBook
from homeport.store.training_queue import TrainingLog

CHOSEN = Hyperparameters(n_epochs=3, batch_size=1, learning_rate_multiplier=1.0, beta=0.1, seed=7)
PREPARED = Prepared(examples=2, tokens=40, steps=6, step=0, hyperparameters=CHOSEN)


class Workbooks:
    """Jobs, logs and files. `now` is the wall clock."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.now = 1_700_000_000.0
        self.folder = folder
        self.files = FileBook(database, Blobs(str(folder / "blobs")), lambda: self.now)
        self.book = FineTuneBook(database, lambda: self.now)
        self.log = TrainingLog(database, self.files, lambda: self.now)

    def job(self, job_id: str, most_waiting: int = 100, **changes: Any) -> FineTune:
        """A new job of project `one` on server `here`."""
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
        return self.book.add(FineTune(id=job_id, **given), most_waiting)

    def under_way(self, job_id: str) -> FineTune:
        """The same, its training begun."""
        job = self.job(job_id)
        assert self.log.begin(job)
        assert self.log.prepared(job, PREPARED)
        return job

    def status(self, job: FineTune) -> str:
        """How it stands."""
        return self.book.show(job.project, job.id).status

    def told(self, job: FineTune) -> list[JobEvent]:
        """Everything that was told of it, in order."""
        return list(self.book.events(job.project, job.id, Page(is_newest_first=False))[0])

    def messages(self, job: FineTune) -> list[str]:
        """The same in words."""
        return [event.message for event in self.told(job)]

    def made(self, job: FineTune) -> Tuned:
        """What came of it."""
        table = self.folder / "results.csv"
        table.write_text("step,train_loss\n1,0.5\n", encoding="utf-8")
        return Tuned(job.name, table, 120)


def measures(step: int, **more: Any) -> Measures:
    """How a step went."""
    return Measures(step, step * 20, step, 1.0 / step, 0.5, 0.25, **more)
