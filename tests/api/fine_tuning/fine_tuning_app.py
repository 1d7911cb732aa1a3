"""An application with a fine-tuning service that trains nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from homeport.api.application import build_application
from homeport.api.metrics import Metrics
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.fine_tuning.attempt import FineTuningDeps
from homeport.serving.fine_tuning.service import FineTuningService
from homeport.store.fine_tuning import SqlFineTuningRepository
from homeport.store.training_queue import SqlTrainingQueue
from tests.api.asgi import AsgiResponse
from tests.api.fakes import services
from tests.api.files.file_app import LINES, FileApp
from tests.serving.fine_tuning.scripted_training import ScriptedTrainingService

JOBS, FINE_TUNES = "/fine_tuning/jobs", "/fine-tunes"
PREFERENCE = (
    b'{"input": {"messages": [{"role": "user", "content": "q"}]}, "preferred_output": [{"role": "assistant", '
    b'"content": "y"}], "non_preferred_output": [{"role": "assistant", "content": "n"}]}\n'
)


class FineTuningApp(FileApp):
    """Fine-tuning jobs of two projects, `one` and `other`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.training = ScriptedTrainingService(folder)
        self.repository = SqlFineTuningRepository(self.database, lambda: self.now)
        queue = SqlTrainingQueue(self.database, self.files, lambda: self.now)
        self.service = FineTuningService(
            FineTuningDeps(self.training, self.repository, queue, self.files, self.training.forget, folder / "tuning"),
            3,
        )
        self.app = build_application(
            services(**self.services, fine_tuning=self.service, metrics=Metrics(jobs=self.service.counts))
        )

    async def create(
        self, path: str = JOBS, content: bytes = LINES, project: str = "one", **changes: Any
    ) -> AsgiResponse:
        """Send a body that creates a job on a file of the project; a field that is `...` is omitted."""
        file_id = (await self.upload_file(content, project=project))["id"]
        body = {"model": "tiny", "training_file": file_id, **changes}
        return await self.ask("POST", path, {name: value for name, value in body.items() if value is not ...}, project)

    async def job(self, path: str = JOBS, **changes: Any) -> dict[str, Any]:
        """Create a job."""
        response = await self.create(path, **changes)
        assert response.status == 200, response.body
        found: dict[str, Any] = response.json
        return found

    async def retrieve(self, job: dict[str, Any], path: str = JOBS) -> dict[str, Any]:
        """Return the status of a job."""
        response = await self.ask("GET", f"{path}/{job['id']}")
        assert response.status == 200, response.body
        found: dict[str, Any] = response.json
        return found

    async def until(self, job: dict[str, Any], status: str) -> dict[str, Any]:
        """Wait until a job has this status."""
        async with asyncio.timeout(30):
            while (found := await self.retrieve(job))["status"] != status:
                await self.service.wait_for_change(0.05)
        return found

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run the fine-tuning service."""
        task = asyncio.create_task(self.service.run(BackgroundLoops()))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
