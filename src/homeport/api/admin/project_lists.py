"""`/admin/v1/files`, `/admin/v1/batches` and `/admin/v1/fine_tuning/jobs`: the lists of all projects, for operators.

Each object is that of the caller's own list, with the `project` that it belongs to. Knows nothing of what it means.
"""

import asyncio

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.batches.render import render_batch
from homeport.api.batches.routes import batch_repository
from homeport.api.files.render import render_file
from homeport.api.files.routes import file_repository
from homeport.api.fine_tuning.actions import fine_tuning_service
from homeport.api.fine_tuning.render import render_checkpoint, render_event, render_job
from homeport.api.paging import PageQuery, parse_page, render_page
from homeport.api.services import services

MAX_PAGE_SIZE = 1000


class ProjectPageQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a page. `project`: only this one's objects."""

    project: str | None = None


class FilesPageQuery(ProjectPageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a page of files. `purpose`: only files of this one."""

    purpose: str | None = None


async def list_files(request: Request) -> Response:
    """List files, newest first."""
    query = parse_page(request, FilesPageQuery, max_limit=MAX_PAGE_SIZE)
    files = file_repository(request)
    page = await asyncio.to_thread(files.list_page, query.project, query.to_page_request(), query.purpose)
    now = services(request).now()
    return render_page(page, lambda file: _with_project(render_file(file, now), file.project))


async def list_batches(request: Request) -> Response:
    """List batches, newest first."""
    query = parse_page(request, ProjectPageQuery, max_limit=MAX_PAGE_SIZE)
    page = await asyncio.to_thread(batch_repository(request).list_page, query.project, query.to_page_request())
    return render_page(page, lambda batch: _with_project(render_batch(batch), batch.project))


async def list_jobs(request: Request) -> Response:
    """List fine-tuning jobs, newest first."""
    query = parse_page(request, ProjectPageQuery, max_limit=MAX_PAGE_SIZE)
    jobs, organization = fine_tuning_service(request).jobs, services(request).organization
    page = await asyncio.to_thread(jobs.list_page, query.project, query.to_page_request())
    return render_page(page, lambda job: _with_project(render_job(job, organization), job.project))


async def list_job_events(request: Request) -> Response:
    """List the events of a job, newest first, with its losses. Raises NotFound."""
    query = parse_page(request, PageQuery, max_limit=MAX_PAGE_SIZE)
    jobs, job_id = fine_tuning_service(request).jobs, request.path_params["job_id"]
    return render_page(await asyncio.to_thread(jobs.list_events, None, job_id, query.to_page_request()), render_event)


async def list_job_checkpoints(request: Request) -> Response:
    """List the checkpoints of a job, newest first. Raises NotFound."""
    query = parse_page(request, PageQuery, max_limit=MAX_PAGE_SIZE)
    jobs, job_id = fine_tuning_service(request).jobs, request.path_params["job_id"]
    page = await asyncio.to_thread(jobs.list_checkpoints, None, job_id, query.to_page_request())
    return render_page(page, render_checkpoint)


def _with_project(rendered: msgspec.Struct, project: str) -> dict[str, object]:
    fields = {name: value for name, value in msgspec.structs.asdict(rendered).items() if value is not UNSET}
    return {**fields, "project": project}
