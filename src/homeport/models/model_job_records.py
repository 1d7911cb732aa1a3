"""The records of model jobs: `<home>/model-jobs/<id>.json`, one file for each. Implements `ModelJobRecords`.

Knows nothing of what a job does.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from homeport.domain.model_jobs import ModelJob
from homeport.formats import atomic, durable_files

FOLDER = "model-jobs"
_log = logging.getLogger(__name__)


class ModelJobFiles:
    """The records of one home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER
        self._lock = threading.Lock()  # a save whose caller was cancelled may still run

    def load(self) -> Sequence[ModelJob]:
        """Return all recorded jobs, the oldest first. A file that cannot be read is skipped with a warning."""
        jobs: list[ModelJob] = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                jobs.append(msgspec.json.decode(path.read_bytes(), type=ModelJob))
            except (OSError, msgspec.DecodeError) as error:
                _log.warning("%s is ignored: %s", path, error)
        return sorted(jobs, key=lambda job: (job.created_at, job.id))

    def save(self, job: ModelJob) -> None:
        """Record a job, or its new state."""
        with self._lock:
            durable_files.make_folder(self._folder)
            atomic.write_file(self._path(job.id), msgspec.json.encode(job))

    def remove(self, job_id: str) -> None:
        """Delete a record, if there is one."""
        with self._lock:
            self._path(job_id).unlink(missing_ok=True)

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"
