"""`/v1/fine_tuning/jobs`: today's API of fine-tuning. A project sees only its own jobs, those of 2023's API too."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.fine_tuning import actions
from homeport.api.fine_tuning.convert import to_metadata_filter
from homeport.api.fine_tuning.render import JobObject, render_checkpoint, render_event, render_job
from homeport.api.fine_tuning.schema import CheckpointsQuery, JobBody, JobsQuery
from homeport.api.json_response import JsonResponse
from homeport.api.paging import PageQuery, parse_page, render_page
from homeport.api.query_params import METADATA_FILTER, read_metadata_filter
from homeport.api.request_body import read_json
from homeport.api.request_runner import model_header
from homeport.api.services import caller, services
from homeport.domain.fine_tuning import FineTuningJob

MAX_PAGE_SIZE = 100


async def create(request: Request) -> Response:
    """Create a job. Raises InvalidRequest, ModelNotFound, Unavailable, Overloaded."""
    body = await read_json(request, JobBody)
    job, resolved = await actions.create_job(request, body, body.model)
    return JsonResponse(_render(request, job), headers=dict(model_header(resolved)))


async def list_jobs(request: Request) -> Response:
    """List the project's jobs, newest first; with `metadata[key]=value`, only those with these pairs."""
    query = parse_page(request, JobsQuery, max_limit=MAX_PAGE_SIZE, ignore=METADATA_FILTER)
    metadata = to_metadata_filter(query, read_metadata_filter(request))
    jobs, project = actions.fine_tuning_service(request).jobs, caller(request).project
    page = await asyncio.to_thread(jobs.list_page, project, query.to_page_request(), metadata)
    return render_page(page, lambda job: _render(request, job), with_ends=False)


async def retrieve(request: Request) -> Response:
    """Describe a job. Raises NotFound."""
    return JsonResponse(_render(request, await actions.find_job(request)))


async def cancel(request: Request) -> Response:
    """Cancel a job. Raises NotFound, or InvalidRequest."""
    return JsonResponse(_render(request, await actions.cancel_job(request)))


async def pause(request: Request) -> Response:
    """Pause a job. Raises NotFound, or InvalidRequest."""
    return JsonResponse(_render(request, await actions.pause_job(request)))


async def resume(request: Request) -> Response:
    """Resume a paused job. Raises NotFound, or InvalidRequest."""
    return JsonResponse(_render(request, await actions.resume_job(request)))


async def events(request: Request) -> Response:
    """List a job's events, newest first. Raises NotFound, or InvalidRequest."""
    query = parse_page(request, PageQuery, max_limit=MAX_PAGE_SIZE).to_page_request()
    page = await actions.with_job(request, lambda jobs, project, job_id: jobs.list_events(project, job_id, query))
    return render_page(page, render_event, with_ends=False)


async def checkpoints(request: Request) -> Response:
    """List a job's checkpoints, newest first. Raises NotFound, or InvalidRequest."""
    query = parse_page(request, CheckpointsQuery, max_limit=MAX_PAGE_SIZE).to_page_request()
    page = await actions.with_job(request, lambda jobs, project, job_id: jobs.list_checkpoints(project, job_id, query))
    return render_page(page, render_checkpoint)


def _render(request: Request, job: FineTuningJob) -> JobObject:
    return render_job(job, services(request).organization)
