"""`POST /v1/embeddings`, and 2023's `/v1/engines/{id}/embeddings`.

Knows nothing of models or tokens: checks what can be checked without them and passes the rest on.
"""

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import bounds, wire
from homeport.api.body import read_json
from homeport.api.call import model_named, opened, whole
from homeport.api.embeddings.answer import Collected, Tally
from homeport.api.exchange import note_user
from homeport.api.services import registry
from homeport.domain.embeddings import EmbeddingRequest, Input
from homeport.domain.errors import InvalidRequest
from homeport.domain.models import Resolved
from homeport.domain.text import TextPrompt, TokenPrompt

ENDPOINT = "embeddings"
MOST_INPUTS = 2048
FORMATS = ("float", "base64")

# OpenAI's models of 2022 came in pairs, for what searches and for what is to be found; those for similarity compare
# alike things, for which models that tell these sides apart ask for the searching one.
_QUERIES = re.compile(r"text-search-.+-query-\d+|code-search-.+-text-\d+|text-similarity-.+")


class CreationRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. `input` is one or many, each text or token ids."""

    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None

    def embedding_request(self, resolved: Resolved) -> EmbeddingRequest:
        """Turn this, checked, into what an embeddings engine is asked for."""
        is_query = bool(_QUERIES.fullmatch(resolved.asked))
        return EmbeddingRequest(inputs(self.input), self.dimensions, resolved.encoding, is_query)

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
        bounds.one_of("encoding_format", self.encoding_format, FORMATS)
        bounds.integer("dimensions", self.dimensions, 1, bounds.TOKEN_ID_MAX)
        inputs(self.input)


def inputs(given: str | list[str | int | list[int]]) -> tuple[Input, ...]:
    """Read any of the four shapes of `input`. Raises InvalidRequest."""
    if isinstance(given, str):
        return (_text("input", given),)
    bounds.items("input", given, len(given), 1)
    texts = [each for each in given if isinstance(each, str)]
    ids = [each for each in given if isinstance(each, int)]
    arrays = [each for each in given if isinstance(each, list)]
    if len(given) not in (len(texts), len(ids), len(arrays)):
        raise InvalidRequest(
            "Invalid type for 'input': expected a string, an array of strings, an array of integers, or an array of "
            "arrays of integers, but got an array of mixed types instead.",
            param="input",
            code="invalid_type",
        )
    if ids:
        return (_tokens("input", ids),)
    bounds.items("input", given, MOST_INPUTS)
    if texts:
        return tuple(_text(f"input[{at}]", each) for at, each in enumerate(texts))
    return tuple(_tokens(f"input[{at}]", each) for at, each in enumerate(arrays))


def _text(name: str, text: str) -> TextPrompt:
    bounds.length(name, text, len(text), 1)
    return TextPrompt(text)


def _tokens(name: str, ids: list[int]) -> TokenPrompt:
    bounds.items(name, ids, len(ids), 1)
    for at, each in enumerate(ids):
        if not 0 <= each <= bounds.TOKEN_ID_MAX:
            bounds.integer(f"{name}[{at}]", each, 0, bounds.TOKEN_ID_MAX)
    return TokenPrompt(tuple(ids))


async def create(request: Request) -> Response:
    """Give a vector for each input."""
    body = await read_json(request, CreationRequest)
    note_user(request.scope, body.user)
    model = model_named(body.model, request.path_params.get("engine"))
    body.check()
    resolved = registry(request).resolve(model, ENDPOINT)
    return await whole(request, resolved, _answer(request, resolved, body))


async def _answer(request: Request, resolved: Resolved, body: CreationRequest) -> bytes:
    """Collect the whole answer; vectors are written down as they come, so that no moment is long."""
    collected = Collected(is_base64=body.encoding_format == "base64")
    async with opened(request, resolved, body.embedding_request(resolved), ENDPOINT, Tally) as under_way:
        async for batch in under_way:
            collected.add(batch)
        return wire.encode(collected.answer(resolved.asked, under_way.usage))
