"""`POST /v1/embeddings`, and 2023's `/v1/engines/{id}/embeddings`.

Knows nothing of models or tokens: checks what can be checked without them and passes the rest on.
"""

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec, validation
from homeport.api.embeddings.render import EmbeddingCollector, EmbeddingUsageCounter
from homeport.api.prompts import Given, parse_prompts
from homeport.api.request_body import apart, read_json
from homeport.api.request_context import note_user
from homeport.api.runner import admit, require_model_name, respond_whole
from homeport.api.services import registry
from homeport.domain.embeddings import EmbeddingInput, EmbeddingRequest
from homeport.domain.models import ResolvedModel
from homeport.domain.text import TextPrompt

ENDPOINT = "embeddings"
MAX_INPUTS = 2048
FORMATS = ("float", "base64")

# OpenAI's models of 2022 came in pairs, for what searches and for what is to be found; those for similarity compare
# alike things, for which models that tell these sides apart ask for the searching one.
_QUERIES = re.compile(r"text-search-.+-query-\d+|code-search-.+-text-\d+|text-similarity-.+")


class CreateEmbeddingBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. `input` is one or many, each text or token ids."""

    input: Given
    model: str | None = None
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None

    def checked(self) -> tuple[EmbeddingInput, ...]:
        """Check everything that needs no model; give the inputs. Raises InvalidRequest naming the field."""
        validation.check_length("user", self.user, validation.LABEL_CHARS)
        validation.check_choice("encoding_format", self.encoding_format, FORMATS)
        validation.check_integer("dimensions", self.dimensions, 1, validation.TOKEN_ID_MAX)
        found = parse_prompts("input", self.input, MAX_INPUTS)
        for at, each in enumerate(found):
            if isinstance(each, TextPrompt):
                validation.check_length(
                    "input" if isinstance(self.input, str) else f"input[{at}]", each.text, len(each.text), 1
                )
        return found

    def to_request(self, given: tuple[EmbeddingInput, ...], resolved: ResolvedModel) -> EmbeddingRequest:
        """What an embeddings engine is asked for."""
        is_query = bool(_QUERIES.fullmatch(resolved.requested_name))
        return EmbeddingRequest(given, self.dimensions, resolved.encoding, is_query)


async def create(request: Request) -> Response:
    """Give a vector for each input."""
    body = await read_json(request, CreateEmbeddingBody)
    note_user(request.scope, body.user)
    model = require_model_name(body.model, request.path_params.get("engine"))
    given = await apart(request, body.checked)
    resolved = registry(request).resolve(model, ENDPOINT)
    return await respond_whole(
        request,
        resolved,
        _answer(request, resolved, body.to_request(given, resolved), body.encoding_format == "base64"),
    )


async def _answer(request: Request, resolved: ResolvedModel, asked: EmbeddingRequest, is_base64: bool) -> bytes:
    """Collect the whole answer; vectors are written down as they come, so that no moment is long."""
    collected = EmbeddingCollector(is_base64=is_base64)
    async with admit(request, resolved, asked, ENDPOINT, EmbeddingUsageCounter) as under_way:
        async for batch in under_way:
            collected.add(batch)
        return json_codec.encode(collected.answer(resolved.requested_name, under_way.usage))
