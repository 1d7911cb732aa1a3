"""The hosted tool `file_search`: vector stores are searched for what the model asks.

Its fields are those of `/v1/vector_stores/{id}/search`, with the same checks. Knows nothing of turns, of how items are
sent, or of how chunks are ranked.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import msgspec
from starlette.requests import Request

from homeport.api import json_codec
from homeport.api.error_responses import error_to_report
from homeport.api.responses.events import CallProgressed
from homeport.api.responses.hosted_history import SEARCH_FUNCTION
from homeport.api.responses.hosted_tools import (
    HostedCall,
    HostedDeclaration,
    HostedFunction,
    HostedOffer,
    HostedStep,
    ItemFinished,
    ItemPlace,
    ItemStarted,
    text_parameter,
)
from homeport.api.responses.included import SEARCH_RESULTS
from homeport.api.responses.item_schema import InputItem, MessageItem
from homeport.api.responses.output_items import OutputFileSearchCall, OutputFileSearchResult
from homeport.api.responses.plan import CallTarget
from homeport.api.responses.tool_checks import check_callers
from homeport.api.responses.tool_schema import FileSearchToolBody
from homeport.api.vector_stores.repositories import model_of
from homeport.api.vector_stores.search import find_stores, search, to_query
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.tools import Tool
from homeport.domain.vector_stores import FoundChunk, SearchQuery, VectorStore

KIND: Final = "file_search"
MAX_STORES = 10
DEFAULT_RESULTS = 5
"""Few enough for the windows of small models: at most 2000 tokens of chunks that were cut by the default strategy."""
MAX_QUERY_CHARS = 500
"""The maximum length of a query that the model writes, so that a small model finds an end."""
_EVENT = "response.file_search_call"
_DESCRIPTION = (
    "Search the user's files, and get the parts of them that fit best. `query` says what to find, in whole words. "
    "Answer from what was found."
)
_PARAMETERS = text_parameter("query", MAX_QUERY_CHARS)

_log = logging.getLogger("homeport.responses")


class _Arguments(msgspec.Struct):
    query: str


async def read_file_search(request: Request, declared: HostedDeclaration) -> HostedOffer:
    """Check a tool of this type. Raises InvalidRequest naming the field, NotFound."""
    place = declared.place
    body = json_codec.decode_part(declared.raw, FileSearchToolBody, place)
    check_callers(body, place)
    name = f"{place}.vector_store_ids"
    if body.vector_store_ids is None:
        raise validation.missing(name)
    validation.check_items(name, body.vector_store_ids, MAX_STORES, 1)
    limit = DEFAULT_RESULTS if body.max_num_results is None else body.max_num_results
    query = to_query((), limit, body.filters, body.ranking_options, f"{place}.")
    try:
        stores = await find_stores(request, list(dict.fromkeys(body.vector_store_ids)))
        for store in stores:
            model_of(request, store)
    except NotFound as error:
        raise NotFound(error.message, param=name, code=error.code) from error
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=name, code=error.code) from error
    tool = Tool(SEARCH_FUNCTION, _DESCRIPTION, _PARAMETERS, is_strict=True, param=place)
    query = msgspec.structs.replace(query, texts=_question(declared.history))
    searcher = FileSearchTool(request, stores, query, returns_results=SEARCH_RESULTS in declared.include)
    return HostedOffer([HostedFunction(tool, CallTarget(KIND, KIND))], searcher)


class FileSearchTool:
    """Makes the searches of one declared tool.

    `query`: its fields; `texts` is what the user has asked, if that is known. Each call also searches for this, because
    small models write short queries.
    """

    def __init__(
        self, request: Request, stores: Sequence[VectorStore], query: SearchQuery, *, returns_results: bool
    ) -> None:
        self._request = request
        self._stores = stores
        self._query = query
        self._returns_results = returns_results

    async def run(self, call: HostedCall, place: ItemPlace) -> AsyncGenerator[HostedStep, None]:
        """Make one search."""
        item = OutputFileSearchCall(id=place.item_id("fs"), status="in_progress")
        yield ItemStarted(item)
        yield _progress("in_progress", item, place)
        yield _progress("searching", item, place)
        try:
            text = _query_of(call.arguments)
            texts = tuple(dict.fromkeys((text, *self._query.texts)))
            item = msgspec.structs.replace(item, queries=texts)
            # They are read again: a store may have changed since the response began.
            stores = await find_stores(self._request, [store.id for store in self._stores])
            matches = await search(self._request, stores, msgspec.structs.replace(self._query, texts=texts))
        except Exception as error:
            yield ItemFinished(msgspec.structs.replace(item, status="failed", error=_reason(error)))
            return
        yield _progress("completed", item, place)
        item = msgspec.structs.replace(item, status="completed")
        whole = msgspec.structs.replace(item, results=[_to_result(match) for match in matches])
        yield ItemFinished(whole, returned=whole if self._returns_results else item)


def _progress(stage: str, item: OutputFileSearchCall, place: ItemPlace) -> CallProgressed:
    return CallProgressed(type=f"{_EVENT}.{stage}", item_id=item.id, output_index=place.index)


def _to_result(match: FoundChunk) -> OutputFileSearchResult:
    return OutputFileSearchResult(
        file_id=match.file_id,
        filename=match.filename,
        text=match.text,
        score=match.score,
        attributes=match.attributes,
    )


def _question(history: Sequence[InputItem]) -> tuple[str, ...]:
    """Return the text of the user's last message, its end if it is long; nothing if there is none."""
    messages = [item for item in history if isinstance(item, MessageItem) and item.role == "user"]
    text = " ".join(part.text for part in messages[-1].parts if part.text) if messages else ""
    question = text.strip()[-MAX_QUERY_CHARS:].strip()
    return (question,) if question else ()


def _query_of(arguments: str) -> str:
    """Return the query in the arguments of a call. Raises InvalidRequest if there is none."""
    try:
        query = msgspec.json.decode(arguments, type=_Arguments).query.strip()
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The arguments are not those of this function: {error}", param="query") from error
    if not query:
        raise InvalidRequest("The query is empty.", param="query")
    return query


def _reason(error: Exception) -> str:
    """Return why nothing was searched. An error that nobody expects is logged, and not shown."""
    if (reported := error_to_report(error)) is not None:
        return reported.message
    _log.error("files were not searched", exc_info=error)
    return "The server had an error while it searched."
