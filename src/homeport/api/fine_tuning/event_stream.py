"""The events of a job as a stream of server-sent events, for 2023's API."""

from collections.abc import AsyncGenerator, Sequence

from starlette.requests import Request

from homeport.api import json_codec
from homeport.api.fine_tuning import actions
from homeport.api.fine_tuning.render import render_fine_tune_event
from homeport.api.streaming import DONE, sse_event
from homeport.domain.fine_tuning import ENDED, FineTuningEvent
from homeport.domain.paging import PageRequest


async def list_events(request: Request, page: PageRequest) -> Sequence[FineTuningEvent]:
    """Return events of the job in the path. Raises NotFound."""
    found = await actions.with_job(request, lambda jobs, project, job_id: jobs.list_events(project, job_id, page))
    return found.items


async def stream_events(request: Request) -> AsyncGenerator[bytes, None]:
    """Return the past and future events of the job in the path until it ends, then `[DONE]`. Raises NotFound."""
    last: str | None = None
    while True:
        # The job is read before its events: once it has ended, its last events exist.
        job = await actions.find_job(request)
        events = await list_events(request, PageRequest(after=last, is_newest_first=False))
        frames = [sse_event(json_codec.encode(render_fine_tune_event(event))) for event in events]
        last = events[-1].id if events else last
        if job.status in ENDED:
            yield b"".join([*frames, DONE])
            return
        if frames:
            yield b"".join(frames)
        service = actions.fine_tuning_service(request)
        if service.is_shutting_down:
            return  # without [DONE]: the job resumes at the next start
        await service.wait_for_change()
