"""`/v1/fine-tunes`: 2023's API of fine-tuning. A project sees its own jobs alone, whichever API made them.

Knows nothing of how models are trained.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.files.routes import file_repository
from homeport.api.fine_tuning import actions
from homeport.api.fine_tuning import render as shapes
from homeport.api.fine_tuning.schema import FineTuneBody
from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.query_params import read_query
from homeport.api.request_body import read_json
from homeport.api.runner import model_header
from homeport.api.services import caller, services
from homeport.api.streaming import DONE, EventStream
from homeport.api.streaming import sse_event as sent
from homeport.domain.errors import NotFound
from homeport.domain.files import File
from homeport.domain.fine_tuning import (
    ENDED,
    FineTuningEvent,
    FineTuningJob,
    NewFineTuningJob,
)
from homeport.domain.paging import PageRequest

DEFAULT_MODEL = "curie"
_ALL = PageRequest(is_newest_first=False)


class EventsQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether events are to be sent as they come."""

    stream: bool = False


async def create(request: Request) -> Response:
    """Take a job. Raises InvalidRequest, ModelNotFound, Unavailable, Overloaded."""
    body = await read_json(request, FineTuneBody)
    wanted = body.to_hyperparameters()
    asked = body.model or DEFAULT_MODEL
    found = actions.resolve_model(request, asked)
    order = NewFineTuningJob(
        project=caller(request).project,
        requested_model=asked,
        model=found.served_model.facts.name,
        training_file=body.training_file,
        validation_file=body.validation_file,
        suffix=body.suffix,
        hyperparameters=wanted,
        id_prefix="ft-",
    )
    job = await actions.create_job(request, order)
    return JsonResponse(await _render_with_events(request, job), headers=dict(model_header(found)))


async def list_fine_tunes(request: Request) -> Response:
    """List the project's jobs, the oldest first, without their events."""
    page = await asyncio.to_thread(actions.fine_tuning_service(request).jobs.list_page, caller(request).project, _ALL)
    return render_list(await _render_jobs(request, page.items))


async def retrieve(request: Request) -> Response:
    """Describe one job with what was told of it. Raises NotFound."""
    return JsonResponse(await _render_with_events(request, await actions.find_job(request)))


async def cancel(request: Request) -> Response:
    """End a job for good. Raises NotFound, or InvalidRequest."""
    return JsonResponse(await _render_with_events(request, await actions.cancel_job(request)))


async def events(request: Request) -> Response:
    """List what was told of a job, the oldest first, or send it as it comes until the job ends. Raises NotFound."""
    if not read_query(request, EventsQuery).stream:
        return render_list(shapes.render_fine_tune_events(await _events(request, _ALL)))
    limits = services(request).limits
    return EventStream(_following(request), {}, ping_s=limits.ping_s, stall_s=limits.stall_s)


async def _following(request: Request) -> AsyncGenerator[bytes, None]:
    """What was told and will be, an event each; then `[DONE]`."""
    last: str | None = None
    while True:
        # The job first: what is told of its end is there when it has ended.
        job = await actions.find_job(request)
        told = await _events(request, PageRequest(after=last, is_newest_first=False))
        frames = [sent(json_codec.encode(each)) for each in shapes.render_fine_tune_events(told)]
        last = told[-1].id if told else last
        if job.status in ENDED:
            yield b"".join([*frames, DONE])
            return
        if frames:
            yield b"".join(frames)
        if actions.fine_tuning_service(request).is_shutting_down:
            return  # without [DONE]: the job goes on at the next start
        await actions.fine_tuning_service(request).wait_for_change()


async def _events(request: Request, page: PageRequest) -> Sequence[FineTuningEvent]:
    found = await actions.with_job(request, lambda jobs, project, job_id: jobs.list_events(project, job_id, page))
    return found.items


async def _render_with_events(request: Request, job: FineTuningJob) -> dict[str, object]:
    book, project = actions.fine_tuning_service(request).jobs, caller(request).project
    page = await asyncio.to_thread(book.list_events, project, job.id, _ALL)
    [described] = await _render_jobs(request, [job])
    return {**described, "events": shapes.render_fine_tune_events(page.items)}


async def _render_jobs(request: Request, jobs: Sequence[FineTuningJob]) -> list[dict[str, object]]:
    organization = services(request).organization
    named = {
        file_id
        for job in jobs
        for file_id in (job.training_file, job.validation_file, job.result_file)
        if file_id is not None
    }
    found = await asyncio.to_thread(_files, request, sorted(named))
    return [shapes.render_fine_tune(job, organization, found) for job in jobs]


def _files(request: Request, ids: Sequence[str]) -> dict[str, File]:
    """Those of the files that are there still."""
    shelf, project = file_repository(request), caller(request).project
    found: dict[str, File] = {}
    for file_id in ids:
        try:
            found[file_id] = shelf.get(project, file_id)
        except NotFound:
            continue
    return found
