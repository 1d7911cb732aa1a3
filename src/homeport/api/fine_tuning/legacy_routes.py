"""`/v1/fine-tunes`: 2023's API of fine-tuning. A project sees only its own jobs, those of today's API too."""

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.files.routes import file_repository
from homeport.api.fine_tuning import actions
from homeport.api.fine_tuning.event_stream import list_events, stream_events
from homeport.api.fine_tuning.render import FineTuneObject, render_fine_tune, render_fine_tune_event
from homeport.api.fine_tuning.schema import EventsQuery, FineTuneBody
from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.query_params import read_query
from homeport.api.request_body import read_json
from homeport.api.request_runner import model_header
from homeport.api.services import caller, services
from homeport.api.watched_access import stream_while_allowed
from homeport.domain.errors import NotFound
from homeport.domain.files import File
from homeport.domain.fine_tuning import FineTuningJob
from homeport.domain.paging import PageRequest

DEFAULT_MODEL = "curie"
_ALL = PageRequest(is_newest_first=False)


async def create(request: Request) -> Response:
    """Create a job. Raises InvalidRequest, ModelNotFound, Unavailable, Overloaded."""
    body = await read_json(request, FineTuneBody)
    job, resolved = await actions.create_job(request, body, body.model or DEFAULT_MODEL)
    return JsonResponse(await _render_with_events(request, job), headers=dict(model_header(resolved)))


async def list_fine_tunes(request: Request) -> Response:
    """List the project's jobs, oldest first, without their events."""
    jobs = actions.fine_tuning_service(request).jobs
    page = await asyncio.to_thread(jobs.list_page, caller(request).project, _ALL)
    files = await _find_files(request, page.items)
    organization = services(request).organization
    return render_list(render_fine_tune(job, organization, files) for job in page.items)


async def retrieve(request: Request) -> Response:
    """Describe a job with its events. Raises NotFound."""
    return JsonResponse(await _render_with_events(request, await actions.find_job(request)))


async def cancel(request: Request) -> Response:
    """Cancel a job. Raises NotFound, or InvalidRequest."""
    return JsonResponse(await _render_with_events(request, await actions.cancel_job(request)))


async def events(request: Request) -> Response:
    """List a job's events, oldest first, or stream them until the job ends. Raises NotFound."""
    if not read_query(request, EventsQuery).stream:
        return render_list(map(render_fine_tune_event, await list_events(request, _ALL)))
    return stream_while_allowed(request, stream_events(request))


async def _render_with_events(request: Request, job: FineTuningJob) -> FineTuneObject:
    jobs = actions.fine_tuning_service(request).jobs
    page = await asyncio.to_thread(jobs.list_events, caller(request).project, job.id, _ALL)
    files = await _find_files(request, [job])
    return render_fine_tune(job, services(request).organization, files, page.items)


async def _find_files(request: Request, jobs: Sequence[FineTuningJob]) -> dict[str, File]:
    """Return those of the jobs' files that still exist, by id."""
    ids = {each for job in jobs for each in (job.training_file, job.validation_file, job.result_file) if each}
    return await asyncio.to_thread(_read_files, request, sorted(ids))


def _read_files(request: Request, ids: Sequence[str]) -> dict[str, File]:
    files, project = file_repository(request), caller(request).project
    found: dict[str, File] = {}
    for file_id in ids:
        try:
            found[file_id] = files.get(project, file_id)
        except NotFound:
            continue
    return found
