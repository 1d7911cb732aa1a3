"""What both APIs of fine-tuning do alike: find the caller's jobs, and take an order. Knows neither one's shapes."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from homeport.api.files.routes import check_room
from homeport.api.services import caller, registry, services
from homeport.domain.errors import Unavailable
from homeport.domain.fine_tuning import FineTuningJob, NewFineTuningJob
from homeport.domain.models import ResolvedModel
from homeport.domain.ports.store import FineTuningRepository
from homeport.serving.fine_tuning.service import FineTuningService

T = TypeVar("T")

CAPABILITY = "completions"


def fine_tuning_service(request: Request) -> FineTuningService:
    """Who trains here. Raises Unavailable where nobody does."""
    found = services(request).fine_tuning
    if found is None:
        raise Unavailable("This server does not fine-tune models.")
    return found


def resolve_model(request: Request, name: str) -> ResolvedModel:
    """The model to be trained, by the name asked for. Raises ModelNotFound, Forbidden, InvalidRequest."""
    return registry(request).resolve(name, CAPABILITY)


async def create_job(request: Request, new_job: NewFineTuningJob) -> FineTuningJob:
    """Take an order. Raises what is wrong with it, and Unavailable or Overloaded."""
    if services(request).files is not None:
        await check_room(request, 1)
    return await asyncio.to_thread(fine_tuning_service(request).create_job, new_job)


async def with_job(request: Request, query: Callable[[FineTuningRepository, str, str], T]) -> T:
    """Ask the books about the job that the path names, as the caller's project. Raises Missing."""
    project, job_id = caller(request).project, request.path_params["job_id"]
    return await asyncio.to_thread(query, fine_tuning_service(request).jobs, project, job_id)


async def find_job(request: Request) -> FineTuningJob:
    """The job that the path names. Raises Missing."""
    return await with_job(request, lambda book, project, job_id: book.get(project, job_id))


async def cancel_job(request: Request) -> FineTuningJob:
    """The same, ended for good. Raises Missing, or InvalidRequest."""
    return await _change_job(request, lambda book, project, job_id: book.cancel(project, job_id))


async def pause_job(request: Request) -> FineTuningJob:
    """The same, waiting until it is resumed. Raises Missing, or InvalidRequest."""
    return await _change_job(request, lambda book, project, job_id: book.pause(project, job_id))


async def resume_job(request: Request) -> FineTuningJob:
    """The same, back in the queue. Raises Missing, or InvalidRequest."""
    return await _change_job(request, lambda book, project, job_id: book.resume(project, job_id))


async def _change_job(
    request: Request, change: Callable[[FineTuningRepository, str, str], FineTuningJob]
) -> FineTuningJob:
    """Change the job that the path names, and have that seen at once."""
    job = await with_job(request, change)
    fine_tuning_service(request).notify()
    return job
