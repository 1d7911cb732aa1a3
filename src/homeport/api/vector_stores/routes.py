"""`/v1/vector_stores`: create, list, describe, change, delete and search stores. A project sees only its own."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.files.render import DeletedObject
from homeport.api.files.routes import file_repository as uploaded_files
from homeport.api.json_response import JsonResponse
from homeport.api.paging import HasId, parse_page, render_page
from homeport.api.request_body import read_json
from homeport.api.services import caller, services
from homeport.api.vector_stores.convert import MAX_NEW_FILES, to_changes, to_new_files, to_new_store
from homeport.api.vector_stores.render import render_matches, render_store
from homeport.api.vector_stores.repositories import new_model, store_repository
from homeport.api.vector_stores.schema import OrderedPageQuery, SearchBody, VectorStoreBody, VectorStoreUpdateBody
from homeport.api.vector_stores.search import MAX_QUERIES, MAX_QUERY_CHARS, find_stores, to_query
from homeport.api.vector_stores.search import search as run_search
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.paging import Page, PageRequest

MAX_PAGE_SIZE = 100

Q = TypeVar("Q", bound=OrderedPageQuery)
T = TypeVar("T", bound=HasId)


async def create(request: Request) -> Response:
    """Create a store, whose files are indexed in the background."""
    body = await read_json(request, VectorStoreBody)
    repository, who = store_repository(request), caller(request)
    new_store = to_new_store(body, who.project, new_model(request, body.embedding_model).model)
    validation.check_items("file_ids", body.file_ids, MAX_NEW_FILES)
    if body.chunking_strategy is not None and not body.file_ids:
        raise InvalidRequest("'chunking_strategy' needs 'file_ids'.", param="chunking_strategy")
    files = await asyncio.to_thread(to_new_files, body.file_ids or (), body.chunking_strategy, name_of(request))
    created = await asyncio.to_thread(repository.create, new_store, files, who.key_id)
    if files:
        services(request).on_files_added()
    return JsonResponse(render_store(created))


async def list_stores(request: Request) -> Response:
    """List the project's stores, newest first unless `order` is `asc`."""
    query = parse_ordered(request, OrderedPageQuery)
    repository, project = store_repository(request), caller(request).project
    return render_page(await read_page(query, partial(repository.list_page, project)), render_store)


async def retrieve(request: Request) -> Response:
    """Describe a store. Raises NotFound."""
    return JsonResponse(render_store(await asyncio.to_thread(store_repository(request).get, *store_key(request))))


async def update(request: Request) -> Response:
    """Change a store. Raises NotFound, InvalidRequest."""
    changes = to_changes(await read_json(request, VectorStoreUpdateBody))
    repository = store_repository(request)
    return JsonResponse(render_store(await asyncio.to_thread(repository.update, *store_key(request), changes)))


async def delete(request: Request) -> Response:
    """Delete a store; its files stay. Raises NotFound."""
    project, store_id = store_key(request)
    await asyncio.to_thread(store_repository(request).delete, project, store_id)
    return JsonResponse(DeletedObject(id=store_id, object="vector_store.deleted"))


async def search(request: Request) -> Response:
    """Return the chunks of a store that answer a query best. Raises NotFound, InvalidRequest."""
    body = await read_json(request, SearchBody)
    texts = [body.query] if isinstance(body.query, str) else body.query
    validation.check_items("query", texts, MAX_QUERIES, 1)
    for text in texts:
        validation.check_length("query", text.strip(), MAX_QUERY_CHARS, 1)
    if body.rewrite_query:
        raise validation.unsupported_field("rewrite_query", "Queries are searched for as they are.")
    query = to_query(texts, body.max_num_results, body.filters, body.ranking_options)
    stores = await find_stores(request, [request.path_params["vector_store_id"]])
    return JsonResponse(render_matches(texts, await run_search(request, stores, query)))


def store_key(request: Request) -> tuple[str, str]:
    """Return the caller's project and the id of the store in the path."""
    return caller(request).project, request.path_params["vector_store_id"]


def name_of(request: Request) -> Callable[[str], str]:
    """Return what finds the names of the project's files. It blocks, and raises NotFound."""
    files, project = uploaded_files(request), caller(request).project
    return lambda file_id: files.get(project, file_id).filename


def parse_ordered(request: Request, kind: type[Q]) -> Q:
    """Read the query parameters of a page in either direction. Raises InvalidRequest."""
    query = parse_page(request, kind, max_limit=MAX_PAGE_SIZE)
    validation.check_choice("order", query.order, ("asc", "desc"))
    if query.after is not None and query.before is not None:
        raise InvalidRequest("Send either 'after' or 'before'.", param="before")
    return query


async def read_page(query: OrderedPageQuery, read: Callable[[PageRequest], Page[T]]) -> Page[T]:
    """Read the page that a query asks for. Raises what `read` raises."""
    try:
        page = await asyncio.to_thread(read, query.to_ordered_request())
    except InvalidRequest as error:
        if query.before is None or error.param != "after":
            raise
        raise InvalidRequest(error.message.replace("'after'", "'before'"), param="before") from error
    return page if query.before is None else msgspec.structs.replace(page, items=page.items[::-1])
