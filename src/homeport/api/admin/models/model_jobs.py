"""`/admin/v1/models/pulls` and `…/optimizations`: jobs on models, started, followed, paused, resumed and cancelled.

Knows nothing of how a job is run.
"""

import asyncio
from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.admin.models.available import model_jobs, model_library, read_optional
from homeport.api.admin.models.render import render_job
from homeport.api.admin.models.schema import NoBody, OptimizeBody, PullBody
from homeport.api.files.render import DeletedObject
from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.request_body import read_json
from homeport.api.services import services
from homeport.api.streaming import DONE, sse_event
from homeport.api.watched_access import stream_while_allowed
from homeport.domain.errors import HomeportError
from homeport.domain.model_jobs import ENDED_STATUSES, ModelJob, ModelTask

EVENT_INTERVAL_S = 0.25
"""The shortest time between two events of a stream."""


async def list_pulls(request: Request) -> Response:
    """List all pulls of this server, the newest first, those that a restart interrupted too."""
    return render_list(map(render_job, model_jobs(request).list_jobs("pull")))


async def list_optimizations(request: Request) -> Response:
    """List all optimizations, the newest first."""
    return render_list(map(render_job, model_jobs(request).list_jobs("optimize")))


async def create_pull(request: Request) -> Response:
    """Start a pull. The same pull again returns the unfinished one.

    Raises InvalidRequest, ModelNotFound, Forbidden, Conflict, Overloaded, Unavailable.
    """
    body = await read_json(request, PullBody)
    reads_files = services(request).access.is_own_user(request.headers)
    try:
        new_job = await asyncio.to_thread(
            model_library(request).plan_pull,
            body.reference,
            body.projector,
            optimize=body.optimize,
            reads_files=reads_files,
            accepts_licence=body.accept_licence,
        )
    except HomeportError as error:
        error.param = error.param or "reference"
        raise
    return JsonResponse(render_job(await model_jobs(request).submit(new_job)))


async def create_optimization(request: Request) -> Response:
    """Start to optimize the model in the path. Raises InvalidRequest, ModelNotFound, Conflict, Overloaded."""
    body = await read_optional(request, OptimizeBody)
    name = request.path_params["model"]
    plan = model_library(request).plan_optimization
    new_job = await asyncio.to_thread(plan, name, body.layout, is_dry=body.dry_run)
    return JsonResponse(render_job(await model_jobs(request).submit(new_job)))


async def retrieve(request: Request) -> Response:
    """Describe a job. Raises NotFound."""
    return JsonResponse(render_job(_find(request)))


async def pause(request: Request) -> Response:
    """Pause a pull. Raises NotFound, InvalidRequest."""
    await read_optional(request, NoBody)
    return JsonResponse(render_job(await model_jobs(request).pause(*_key(request))))


async def resume(request: Request) -> Response:
    """Resume a job that is paused, was interrupted or failed. Raises NotFound, InvalidRequest."""
    await read_optional(request, NoBody)
    return JsonResponse(render_job(await model_jobs(request).resume(*_key(request))))


async def cancel(request: Request) -> Response:
    """Cancel a job and delete its partial files. Raises NotFound, InvalidRequest."""
    await read_optional(request, NoBody)
    return JsonResponse(render_job(await model_jobs(request).cancel(*_key(request))))


async def delete(request: Request) -> Response:
    """Delete the record of a job that has ended. Raises NotFound, InvalidRequest."""
    task, job_id = _key(request)
    rendered = render_job(_find(request))
    await model_jobs(request).forget(task, job_id)
    return JsonResponse(DeletedObject(id=job_id, object=rendered.object))


async def events(request: Request) -> Response:
    """Stream a job's state whenever it changes, until it ends. Raises NotFound."""
    return stream_while_allowed(request, _stream(request))


async def _stream(request: Request) -> AsyncGenerator[bytes, None]:
    """Return the job as it is and each later state, at most four a second, then `[DONE]` if it has ended."""
    jobs = model_jobs(request)
    last: ModelJob | None = None
    while True:
        version, job = jobs.version, _find(request)
        if job != last:
            frame, last = sse_event(json_codec.encode(render_job(job))), job
            if job.status in ENDED_STATUSES:
                yield frame + DONE
                return
            yield frame
            await asyncio.sleep(EVENT_INTERVAL_S)
        if jobs.is_shutting_down:
            return  # without [DONE]: the next server lists the job
        await jobs.wait_for_change(version)


def _find(request: Request) -> ModelJob:
    return model_jobs(request).find(*_key(request))


def _key(request: Request) -> tuple[ModelTask, str]:
    """Return the task that the path is for, and the job's id."""
    is_pull = request.scope["path"].startswith("/admin/v1/models/pulls/")
    return "pull" if is_pull else "optimize", request.path_params["job_id"]
