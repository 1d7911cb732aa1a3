"""`/admin/v1/models`: list all models, installed or not; load, unload and delete one.

Knows nothing of files and hubs.
"""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.admin.models.available import model_jobs, model_library, read_optional
from homeport.api.admin.models.render import LibraryBody, render_library
from homeport.api.admin.models.schema import DeleteQuery, NoBody
from homeport.api.json_response import JsonResponse
from homeport.api.query_params import read_query
from homeport.api.services import services
from homeport.domain.errors import Conflict, ModelNotFound, NotFound, excerpt
from homeport.domain.models import InstalledModel

_WAIT_S = 30.0
"""How long a model's requests may take to end before it is unloaded."""


class LoadedObject(msgspec.Struct, kw_only=True):
    """A model that was loaded or unloaded."""

    id: str
    loaded: bool
    object: str = "library.model"


class RemovedObject(msgspec.Struct, kw_only=True):
    """A model whose files were deleted."""

    id: str
    freed_bytes: int
    object: str = "library.model"
    deleted: bool = True


async def list_models(request: Request) -> Response:
    """List every model that is installed or in the catalogue."""
    return JsonResponse(await _overview(request))


async def retrieve(request: Request) -> Response:
    """Describe a model by its own name. Raises ModelNotFound."""
    name = request.path_params["model"]
    for model in (await _overview(request)).data:
        if model.id == name:
            return JsonResponse(model)
    raise ModelNotFound(f"The model `{excerpt(name)}` is neither installed nor in the catalogue.", param="model")


async def load(request: Request) -> Response:
    """Load a model and answer when it is ready. Raises ModelNotFound, or Unavailable if it does not load."""
    await read_optional(request, NoBody)
    model = _resolve(request)
    await services(request).serving.preload([model])
    return JsonResponse(LoadedObject(id=model.facts.name, loaded=True))


async def unload(request: Request) -> Response:
    """Unload a model once its requests have ended, which may take a while. Raises ModelNotFound, NotFound."""
    await read_optional(request, NoBody)
    name = _resolve(request).facts.name
    if not await services(request).serving.stop(name, _WAIT_S):
        raise NotFound(f"The model `{excerpt(name)}` is not loaded.", param="model", code="model_not_loaded")
    return JsonResponse(LoadedObject(id=name, loaded=False))


async def delete(request: Request) -> Response:
    """Delete an installed model by its own name. Raises ModelNotFound, InvalidRequest, or Conflict while it is in use.

    A model that a worker has loaded is unloaded after its requests; with `force`, at once.
    """
    name, query = request.path_params["model"], read_query(request, DeleteQuery)
    serving, library = services(request).serving, model_library(request)
    job = model_jobs(request).active_on(name)
    if job is not None:
        raise Conflict(f"The job `{job.id}` works on `{excerpt(name)}`: cancel it first.", code="model_in_use")
    n_requests = serving.in_use(name)
    if n_requests and not query.force:
        raise Conflict(
            f"`{excerpt(name)}` answers {n_requests} requests: wait for them, or delete it with `force=true`.",
            code="model_in_use",
        )
    freed = await asyncio.to_thread(library.remove, name)
    await serving.stop(name, 0.0 if query.force else _WAIT_S)
    return JsonResponse(RemovedObject(id=name, freed_bytes=freed))


async def _overview(request: Request) -> LibraryBody:
    serving, jobs = services(request).serving, model_jobs(request)
    overview = await asyncio.to_thread(model_library(request).overview)
    reports = {report.model: report for report in serving.worker_status()}
    in_use = {name: serving.in_use(name) for name in reports}
    active = {model.name: job.id for model in overview.models if (job := jobs.active_on(model.name))}
    return render_library(overview, reports, in_use, active)


def _resolve(request: Request) -> InstalledModel:
    """Return the model that a worker loads for the name or alias in the path. Raises ModelNotFound."""
    return services(request).registry.resolve(request.path_params["model"], "").model
