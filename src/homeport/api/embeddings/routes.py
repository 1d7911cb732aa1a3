"""`POST /v1/embeddings`, and 2023's `/v1/engines/{id}/embeddings`.

Knows nothing of models or tokens: checks what can be checked without them and passes the rest on.
"""

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec, validation
from homeport.api.embeddings.render import Collected, Tally
from homeport.api.prompts import Given, inputs
from homeport.api.request_body import apart, read_json
from homeport.api.request_context import note_user
from homeport.api.runner import model_named, opened, whole
from homeport.api.services import registry
from homeport.domain.embeddings import EmbeddingRequest, Input
from homeport.domain.models import Resolved
from homeport.domain.text import TextPrompt

ENDPOINT = "embeddings"
MOST_INPUTS = 2048
FORMATS = ("float", "base64")

# OpenAI's models of 2022 came in pairs, for what searches and for what is to be found; those for similarity compare
# alike things, for which models that tell these sides apart ask for the searching one.
_QUERIES = re.compile(r"text-search-.+-query-\d+|code-search-.+-text-\d+|text-similarity-.+")


class CreationRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. `input` is one or many, each text or token ids."""

    input: Given
    model: str | None = None
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None

    def checked(self) -> tuple[Input, ...]:
        """Check everything that needs no model; give the inputs. Raises InvalidRequest naming the field."""
        validation.length("user", self.user, validation.LABEL_CHARS)
        validation.one_of("encoding_format", self.encoding_format, FORMATS)
        validation.integer("dimensions", self.dimensions, 1, validation.TOKEN_ID_MAX)
        found = inputs("input", self.input, MOST_INPUTS)
        for at, each in enumerate(found):
            if isinstance(each, TextPrompt):
                validation.length(
                    "input" if isinstance(self.input, str) else f"input[{at}]", each.text, len(each.text), 1
                )
        return found

    def embedding_request(self, given: tuple[Input, ...], resolved: Resolved) -> EmbeddingRequest:
        """What an embeddings engine is asked for."""
        is_query = bool(_QUERIES.fullmatch(resolved.asked))
        return EmbeddingRequest(given, self.dimensions, resolved.encoding, is_query)


async def create(request: Request) -> Response:
    """Give a vector for each input."""
    body = await read_json(request, CreationRequest)
    note_user(request.scope, body.user)
    model = model_named(body.model, request.path_params.get("engine"))
    given = await apart(request, body.checked)
    resolved = registry(request).resolve(model, ENDPOINT)
    return await whole(
        request,
        resolved,
        _answer(request, resolved, body.embedding_request(given, resolved), body.encoding_format == "base64"),
    )


async def _answer(request: Request, resolved: Resolved, asked: EmbeddingRequest, is_base64: bool) -> bytes:
    """Collect the whole answer; vectors are written down as they come, so that no moment is long."""
    collected = Collected(is_base64=is_base64)
    async with opened(request, resolved, asked, ENDPOINT, Tally) as under_way:
        async for batch in under_way:
            collected.add(batch)
        return json_codec.encode(collected.answer(resolved.asked, under_way.usage))
