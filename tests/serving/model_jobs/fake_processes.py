"""Fake processes of model jobs, which send what a test says and end when it says so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from homeport.domain.model_jobs import ModelJob, TaskEnd, TaskEvent, TaskProgress
from homeport.models.model_job_records import ModelJobFiles
from homeport.serving.model_jobs.service import ModelJobService


@dataclass
class Machine:
    """Launches fake processes: each sends `first` and ends with `end` once its event in `gates` is set.

    `running`, `killed`: references of jobs; `discarded`: models whose partial files were deleted.
    """

    folder: Path
    first: Sequence[TaskEvent] = (TaskProgress(100, 40, 40, files_of="tiny"),)
    end: TaskEnd | None = field(default_factory=lambda: TaskEnd(model="tiny"))
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)

    def gate(self, reference: str) -> asyncio.Event:
        """Return the event that ends the process of a reference."""
        return self.gates.setdefault(reference, asyncio.Event())

    @asynccontextmanager
    async def launch(self, job: ModelJob) -> AsyncIterator[AsyncIterator[TaskEvent]]:
        """Start a process."""
        gate = self.gate(job.reference)
        self.running.append(job.reference)
        try:
            yield self._events(gate)
        finally:
            self.running.remove(job.reference)
            if not gate.is_set():
                self.killed.append(job.reference)

    async def _events(self, gate: asyncio.Event) -> AsyncIterator[TaskEvent]:
        for event in self.first:
            yield event
        await gate.wait()
        if self.end is not None:
            yield self.end

    def jobs(self) -> ModelJobService:
        """Start a server on the same records."""
        return ModelJobService(self.launch, ModelJobFiles(self.folder), self.discarded.append)
