"""The models that chat, as Anthropic's clients list them. Knows nothing of aliases or of what else models do."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from starlette.requests import Request

from homeport.api.json_response import JsonResponse
from homeport.api.query_params import read_query
from homeport.domain import validation
from homeport.domain.models import InstalledModel

VERSION_HEADER = "anthropic-version"
"""The header that all of Anthropic's clients send, and no others."""

_MAX_LIMIT = 1000


class ModelsQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query of a list. `beta` selects a format that is the same here."""

    limit: int = 20
    after_id: str | None = None
    before_id: str | None = None
    beta: str | None = None


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model. `max_input_tokens`: its window; of which an answer may take all that the prompt leaves."""

    type: Literal["model"] = "model"
    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active"] = "active"
    max_input_tokens: int | None
    max_tokens: int | None


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of models."""

    data: Sequence[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None


def list_for_anthropic(request: Request, models: Mapping[str, InstalledModel]) -> JsonResponse:
    """Return the page of a request. `models`: by name. Raises InvalidRequest naming the parameter."""
    query = read_query(request, ModelsQuery)
    validation.check_integer("limit", query.limit, 1, _MAX_LIMIT)
    names = [name for name, model in models.items() if "chat" in model.facts.capabilities]
    if query.after_id in names:
        names = names[names.index(query.after_id) + 1 :]
    is_backwards = query.before_id in names
    if is_backwards and query.before_id is not None:
        names = names[: names.index(query.before_id)]
    page = names[-query.limit :] if is_backwards else names[: query.limit]
    return JsonResponse(
        ModelList(
            data=[_render(name, models[name]) for name in page],
            has_more=len(names) > len(page),
            first_id=page[0] if page else None,
            last_id=page[-1] if page else None,
        )
    )


def _render(name: str, model: InstalledModel) -> ModelInfo:
    facts = model.facts
    created = datetime.fromtimestamp(facts.created, UTC).isoformat().replace("+00:00", "Z")
    return ModelInfo(
        id=name, display_name=name, created_at=created, max_input_tokens=facts.window, max_tokens=facts.window
    )
