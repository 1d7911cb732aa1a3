"""Searches of vector stores, for the endpoint and for a hosted tool. Knows nothing of the JSON of results."""

import asyncio
from collections.abc import Iterator, Sequence

import msgspec
from starlette.requests import Request

from homeport.api.request_runner import engine_run
from homeport.api.services import caller
from homeport.api.vector_stores.filters import to_filter
from homeport.api.vector_stores.repositories import model_of, store_repository, vector_search
from homeport.api.vector_stores.schema import RankingOptions
from homeport.domain import validation
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import ContextOverflow, InvalidRequest
from homeport.domain.events import EmbeddingVectors
from homeport.domain.models import ResolvedModel
from homeport.domain.text import TextPrompt
from homeport.domain.vector_stores import FoundChunk, SearchQuery, VectorStore

ENDPOINT = "embeddings"
"""The name of these engine requests in metrics and usage: a query costs what embedding it costs."""
DEFAULT_RESULTS, MAX_RESULTS = 10, 50
MAX_QUERIES, MAX_QUERY_CHARS = 16, 8_192
RANKERS = ("auto", "default-2024-11-15", "none")
TOOL_RANKERS = RANKERS[:2]
"""The rankers of the tool of responses."""
_MAX_WEIGHT = 1e6
_FLOAT_BYTES = 4


def to_query(
    texts: Sequence[str], limit: int | None, filters: object, ranking: RankingOptions | None, place: str = ""
) -> SearchQuery:
    """Return a search without its vectors. `place`: what precedes a tool's fields. Raises InvalidRequest."""
    validation.check_integer(f"{place}max_num_results", limit, 1, MAX_RESULTS)
    options = ranking or RankingOptions()
    name = f"{place}ranking_options"
    validation.check_choice(f"{name}.ranker", options.ranker, TOOL_RANKERS if place else RANKERS)
    validation.check_number(f"{name}.score_threshold", options.score_threshold, 0, 1)
    vector_weight, word_weight = 1.0, 0.0 if options.ranker == "none" else 1.0
    if options.hybrid_search is not None:
        vector_weight, word_weight = options.hybrid_search.embedding_weight, options.hybrid_search.text_weight
        validation.check_number(f"{name}.hybrid_search.embedding_weight", vector_weight, 0, _MAX_WEIGHT)
        validation.check_number(f"{name}.hybrid_search.text_weight", word_weight, 0, _MAX_WEIGHT)
        if not vector_weight and not word_weight:
            raise InvalidRequest(
                "At least one of the weights must be above 0.", param=f"{name}.hybrid_search", code="invalid_value"
            )
        if options.ranker == "none":
            raise InvalidRequest("The ranker 'none' has no weights.", param=f"{name}.hybrid_search")
    return SearchQuery(
        texts=tuple(texts),
        vectors=(),
        limit=DEFAULT_RESULTS if limit is None else limit,
        filter=to_filter(filters, f"{place}filters"),
        threshold=options.score_threshold or 0.0,
        vector_weight=vector_weight,
        word_weight=word_weight,
    )


async def find_stores(request: Request, ids: Sequence[str]) -> list[VectorStore]:
    """Return the stores with these ids. Raises NotFound, and InvalidRequest if one has expired."""
    repository, project = store_repository(request), caller(request).project
    stores = [await asyncio.to_thread(repository.get, project, store_id) for store_id in ids]
    for store in stores:
        if store.is_expired:
            raise InvalidRequest(f"The vector store {store.id} has expired.", code="vector_store_expired")
    return stores


async def search(request: Request, stores: Sequence[VectorStore], query: SearchQuery) -> Sequence[FoundChunk]:
    """Return the best chunks of stores, best first. The stores count as used.

    Raises InvalidRequest if a query is too long for a store's model, or that model is gone, and what running an engine
    request raises.
    """
    by_model: dict[str, list[VectorStore]] = {}
    resolved: dict[str, ResolvedModel] = {}
    for store in stores:
        by_model.setdefault(store.model, []).append(store)
        resolved[store.model] = model_of(request, store)
    repository, finder = store_repository(request), vector_search(request)
    matches: list[FoundChunk] = []
    for model, found in by_model.items():
        vectors = await _embed(request, resolved[model], query.texts)
        with_vectors = msgspec.structs.replace(query, vectors=vectors)
        matches += await asyncio.to_thread(finder.search, found, with_vectors)
    for store in stores:
        await asyncio.to_thread(repository.touch, store.id)
    return sorted(matches, key=lambda match: -match.score)[: query.limit]


async def _embed(request: Request, resolved: ResolvedModel, texts: Sequence[str]) -> tuple[bytes, ...]:
    """Return the vectors of queries."""
    engine_request = EmbeddingRequest(tuple(map(TextPrompt, texts)), is_query=True)
    rows: list[bytes] = []
    try:
        async with engine_run(request, resolved, engine_request, ENDPOINT) as engine:
            async for events in engine.events:
                engine.count(events)
                rows += [row for event in events if isinstance(event, EmbeddingVectors) for row in _rows(event)]
            await engine.complete()
    except ContextOverflow as error:
        raise ContextOverflow(error.message, param="query") from error
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param="query", code=error.code) from error
    return tuple(rows)


def _rows(vectors: EmbeddingVectors) -> Iterator[bytes]:
    """Yield each vector; they arrive in the order of their inputs."""
    size = vectors.dimensions * _FLOAT_BYTES
    return (vectors.data[at * size : (at + 1) * size] for at in range(vectors.count))
