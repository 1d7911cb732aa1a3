"""What both fine-tuning APIs share: they create, find and change the caller's jobs. Knows neither API's JSON."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from homeport.api.files.routes import check_room
from homeport.api.fine_tuning.convert import to_hyperparameters, to_new_job
from homeport.api.fine_tuning.schema import FineTuneBody, JobBody
from homeport.api.services import caller, registry, services
from homeport.domain.errors import Unavailable
from homeport.domain.fine_tuning import FineTuningJob
from homeport.domain.models import ResolvedModel
from homeport.domain.ports.store import FineTuningRepository
from homeport.serving.fine_tuning.service import FineTuningService

T = TypeVar("T")

CAPABILITY = "completions"


def fine_tuning_service(request: Request) -> FineTuningService:
    """Return the server's fine-tuning service. Raises Unavailable if there is none."""
    service = services(request).fine_tuning
    if service is None:
        raise Unavailable("This server does not fine-tune models.")
    return service


async def create_job(request: Request, body: JobBody | FineTuneBody, model: str) -> tuple[FineTuningJob, ResolvedModel]:
    """Create a job that trains a model. Raises InvalidRequest, ModelNotFound, Forbidden, Unavailable, Overloaded."""
    hyperparameters = to_hyperparameters(body)
    resolved = registry(request).resolve(model, CAPABILITY)
    new_job = to_new_job(body, hyperparameters, resolved, caller(request).project)
    if services(request).files is not None:
        await check_room(request, 1)
    return await asyncio.to_thread(fine_tuning_service(request).create_job, new_job), resolved


async def with_job(request: Request, query: Callable[[FineTuningRepository, str, str], T]) -> T:
    """Call `query` in a thread with the repository, the caller's project and the job id in the path.

    Raises NotFound.
    """
    project, job_id = caller(request).project, request.path_params["job_id"]
    return await asyncio.to_thread(query, fine_tuning_service(request).jobs, project, job_id)


async def find_job(request: Request) -> FineTuningJob:
    """Return the job in the path. Raises NotFound."""
    return await with_job(request, lambda jobs, project, job_id: jobs.get(project, job_id))


async def cancel_job(request: Request) -> FineTuningJob:
    """Cancel the job in the path. Raises NotFound, or InvalidRequest."""
    return await _change_job(request, lambda jobs, project, job_id: jobs.cancel(project, job_id))


async def pause_job(request: Request) -> FineTuningJob:
    """Pause the job in the path. Raises NotFound, or InvalidRequest."""
    return await _change_job(request, lambda jobs, project, job_id: jobs.pause(project, job_id))


async def resume_job(request: Request) -> FineTuningJob:
    """Resume the job in the path. Raises NotFound, or InvalidRequest."""
    return await _change_job(request, lambda jobs, project, job_id: jobs.resume(project, job_id))


async def _change_job(
    request: Request, change: Callable[[FineTuningRepository, str, str], FineTuningJob]
) -> FineTuningJob:
    """Change the job in the path, and notify the fine-tuning service."""
    job = await with_job(request, change)
    fine_tuning_service(request).notify()
    return job
