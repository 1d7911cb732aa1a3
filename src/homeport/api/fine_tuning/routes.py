"""`/v1/fine_tuning/jobs`: today's API of fine-tuning. A project sees its own jobs alone, whichever API made them.

Knows nothing of how models are trained.
"""

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.fine_tuning import actions
from homeport.api.fine_tuning import render as shapes
from homeport.api.fine_tuning.schema import JobBody
from homeport.api.json_response import JsonResponse
from homeport.api.paging import PageQuery, parse_page, render_page
from homeport.api.request_body import read_json
from homeport.api.runner import model_header
from homeport.api.services import caller, services
from homeport.domain.errors import InvalidRequest
from homeport.domain.fine_tuning import FineTuningJob, NewFineTuningJob

MAX_PAGE_SIZE = 100
_FILTER = re.compile(r"metadata\[([^\[\]]*)\]")


class JobsQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of jobs; `metadata` is `null` for jobs without metadata."""

    metadata: str | None = None


class CheckpointsQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of checkpoints."""

    limit: int = 10


async def create(request: Request) -> Response:
    """Take a job. Raises InvalidRequest, ModelNotFound, Unavailable, Overloaded."""
    body = await read_json(request, JobBody)
    wanted = body.to_hyperparameters()
    found = actions.resolve_model(request, body.model)
    order = NewFineTuningJob(
        project=caller(request).project,
        requested_model=body.model,
        model=found.served_model.facts.name,
        training_file=body.training_file,
        validation_file=body.validation_file,
        suffix=body.suffix,
        hyperparameters=wanted,
        metadata=body.metadata,
    )
    return JsonResponse(
        _render_job(request, await actions.create_job(request, order)), headers=dict(model_header(found))
    )


async def list_jobs(request: Request) -> Response:
    """List the project's jobs, newest first, those with some metadata alone if so asked."""
    named = {key[1]: value for name, value in request.query_params.multi_items() if (key := _FILTER.fullmatch(name))}
    query = parse_page(request, JobsQuery, max_limit=MAX_PAGE_SIZE, ignore=_FILTER)
    if query.metadata is not None and (named or query.metadata != "null"):
        raise InvalidRequest("Give 'metadata[key]=value', or 'metadata=null' alone.", param="metadata")
    metadata = {} if query.metadata is not None else (named or None)
    jobs, project = actions.fine_tuning_service(request).jobs, caller(request).project
    page = await asyncio.to_thread(jobs.list_page, project, query.to_page_request(), metadata)
    return render_page(page, lambda job: _render_job(request, job), with_ends=False)


async def retrieve(request: Request) -> Response:
    """Describe one job. Raises Missing."""
    return JsonResponse(_render_job(request, await actions.find_job(request)))


async def cancel(request: Request) -> Response:
    """End a job for good. Raises Missing, or InvalidRequest."""
    return JsonResponse(_render_job(request, await actions.cancel_job(request)))


async def pause(request: Request) -> Response:
    """Have a job wait. Raises Missing, or InvalidRequest."""
    return JsonResponse(_render_job(request, await actions.pause_job(request)))


async def resume(request: Request) -> Response:
    """Have a job go on. Raises Missing, or InvalidRequest."""
    return JsonResponse(_render_job(request, await actions.resume_job(request)))


async def events(request: Request) -> Response:
    """List what was told of a job, newest first. Raises Missing, or InvalidRequest."""
    wanted = parse_page(request, PageQuery, max_limit=MAX_PAGE_SIZE).to_page_request()
    page = await actions.with_job(request, lambda jobs, project, job_id: jobs.list_events(project, job_id, wanted))
    return render_page(page, shapes.render_event, with_ends=False)


async def checkpoints(request: Request) -> Response:
    """List what a job has left on its way, newest first. Raises Missing, or InvalidRequest."""
    wanted = parse_page(request, CheckpointsQuery, max_limit=MAX_PAGE_SIZE).to_page_request()
    page = await actions.with_job(request, lambda jobs, project, job_id: jobs.list_checkpoints(project, job_id, wanted))
    return render_page(page, shapes.render_checkpoint)


def _render_job(request: Request, found: FineTuningJob) -> dict[str, object]:
    return shapes.render_job(found, services(request).organization)
