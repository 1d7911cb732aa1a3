"""What both APIs of fine-tuning do alike: find the caller's jobs, and take an order. Knows neither one's shapes."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from homeport.api.files.routes import check_room
from homeport.api.services import caller, registry, services
from homeport.domain.errors import Unavailable
from homeport.domain.fine_tuning import FineTune, FineTuneBook, Order
from homeport.domain.models import Resolved
from homeport.serving.fine_tuning.service import Tuner

T = TypeVar("T")

CAPABILITY = "completions"


def tuner(request: Request) -> Tuner:
    """Who trains here. Raises Unavailable where nobody does."""
    found = services(request).tuner
    if found is None:
        raise Unavailable("This server does not fine-tune models.")
    return found


def resolved(request: Request, name: str) -> Resolved:
    """The model to be trained, by the name asked for. Raises ModelMissing, Forbidden, InvalidRequest."""
    return registry(request).resolve(name, CAPABILITY)


async def accepted(request: Request, order: Order) -> FineTune:
    """Take an order. Raises what is wrong with it, and Unavailable or Overloaded."""
    if services(request).files is not None:
        await check_room(request, 1)
    return await asyncio.to_thread(tuner(request).accept, order)


async def asked(request: Request, ask: Callable[[FineTuneBook, str, str], T]) -> T:
    """Ask the books about the job that the path names, as the caller's project. Raises Missing."""
    project, job_id = caller(request).project, request.path_params["job_id"]
    return await asyncio.to_thread(ask, tuner(request).book, project, job_id)


async def shown(request: Request) -> FineTune:
    """The job that the path names. Raises Missing."""
    return await asked(request, lambda book, project, job_id: book.show(project, job_id))


async def cancelled(request: Request) -> FineTune:
    """The same, ended for good. Raises Missing, or InvalidRequest."""
    return await _changed(request, lambda book, project, job_id: book.cancel(project, job_id))


async def paused(request: Request) -> FineTune:
    """The same, waiting until it is resumed. Raises Missing, or InvalidRequest."""
    return await _changed(request, lambda book, project, job_id: book.pause(project, job_id))


async def resumed(request: Request) -> FineTune:
    """The same, back in the queue. Raises Missing, or InvalidRequest."""
    return await _changed(request, lambda book, project, job_id: book.resume(project, job_id))


async def _changed(request: Request, change: Callable[[FineTuneBook, str, str], FineTune]) -> FineTune:
    """Change the job that the path names, and have that seen at once."""
    job = await asked(request, change)
    tuner(request).ring()
    return job
