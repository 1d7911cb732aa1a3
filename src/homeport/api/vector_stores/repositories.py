"""The parts of the server that routes of vector stores use, from a request. Knows nothing of bodies."""

from starlette.requests import Request

from homeport.api.services import registry, services
from homeport.domain.errors import HomeportError, InvalidRequest, ModelNotFound, Unavailable, excerpt
from homeport.domain.kinds import IMAGE_EMBEDDINGS
from homeport.domain.models import ResolvedModel
from homeport.domain.ports.vector_stores import StoreFileRepository, VectorSearch, VectorStoreRepository
from homeport.domain.vector_stores import VectorStore

DEFAULT_MODEL = "text-embedding-3-small"
"""The name whose model makes the vectors of new stores."""


def store_repository(request: Request) -> VectorStoreRepository:
    """Return the server's vector stores. Raises Unavailable if it has none."""
    stores = services(request).vector_stores
    if stores is None:
        raise _not_served()
    return stores


def file_repository(request: Request) -> StoreFileRepository:
    """Return the files of the server's vector stores. Raises Unavailable if it has none."""
    files = services(request).store_files
    if files is None:
        raise _not_served()
    return files


def vector_search(request: Request) -> VectorSearch:
    """Return the search of the server's vector stores. Raises Unavailable if it has none."""
    search = services(request).vector_search
    if search is None:
        raise _not_served()
    return search


def new_model(request: Request, name: str | None) -> ResolvedModel:
    """Return the model that makes the vectors of a new store. Raises InvalidRequest, ModelNotFound, Forbidden."""
    try:
        resolved = registry(request).resolve(name or DEFAULT_MODEL, "embeddings")
    except ModelNotFound as error:
        raise ModelNotFound(error.message, param="embedding_model") from error
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param="embedding_model", code=error.code) from error
    if IMAGE_EMBEDDINGS in resolved.model.facts.capabilities:
        raise InvalidRequest(
            f"The model `{excerpt(name or DEFAULT_MODEL)}` embeds images and short texts: vector stores need a model "
            "that embeds only text.",
            param="embedding_model",
            code="invalid_model",
        )
    return resolved


def model_of(request: Request, store: VectorStore) -> ResolvedModel:
    """Return the model that made the vectors of a store.

    Raises InvalidRequest if it is not there as it was: vectors of two models cannot be compared.
    """
    try:
        resolved = registry(request).resolve(store.model, "embeddings")
    except (ModelNotFound, InvalidRequest) as error:
        raise _model_changed(store, error.message) from error
    if resolved.model.digest != store.digest:
        raise _model_changed(store, "It has other weights now.")
    return resolved


def _model_changed(store: VectorStore, why: str) -> HomeportError:
    return InvalidRequest(
        f"The vectors of the vector store {store.id} were made by `{store.model}`, and can be compared with no other "
        f"model's. {why} Install the model again, or create a new store.",
        param="vector_store_id",
        code="embedding_model_changed",
    )


def _not_served() -> Unavailable:
    return Unavailable("This server has no vector stores.")
