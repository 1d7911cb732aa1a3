"""`/admin/v1/models/aliases`: list and edit the names that stand for models. Edits last beyond a restart."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.admin.models.available import model_library, read_optional
from homeport.api.admin.models.render import render_alias
from homeport.api.admin.models.schema import AliasBody, NoBody
from homeport.api.files.render import DeletedObject
from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.request_body import read_json


async def list_aliases(request: Request) -> Response:
    """List every alias by name, those without an installed model and removed ones too."""
    return render_list(map(render_alias, await asyncio.to_thread(model_library(request).list_aliases)))


async def replace(request: Request) -> Response:
    """Make a name stand for an installed model. Raises InvalidRequest, ModelNotFound, Conflict."""
    name, body = request.path_params["alias"], await read_json(request, AliasBody)
    entry = await asyncio.to_thread(model_library(request).set_alias, name, body.target, body.encoding)
    return JsonResponse(render_alias(entry))


async def delete(request: Request) -> Response:
    """Make a name stand for nothing. Raises InvalidRequest, NotFound, Conflict."""
    name = request.path_params["alias"]
    await asyncio.to_thread(model_library(request).remove_alias, name)
    return JsonResponse(DeletedObject(id=name, object="alias"))


async def reset(request: Request) -> Response:
    """Give a name its built-in meaning again. Raises InvalidRequest, NotFound, Conflict."""
    await read_optional(request, NoBody)
    name = request.path_params["alias"]
    entry = await asyncio.to_thread(model_library(request).reset_alias, name)
    return JsonResponse(DeletedObject(id=name, object="alias") if entry is None else render_alias(entry))
