"""`POST /tokenize`, `POST /detokenize` and `GET /tokenizer_info` in vLLM's format, for evaluation tools.

Knows nothing of vocabularies. Ids are those that a model takes under its real name; without a model, the first one in
the list that completes text is used.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.query_params import read_query
from homeport.api.request_body import apart, read_json
from homeport.api.runner import admit, respond_whole
from homeport.api.services import registry, services
from homeport.api.tokenize.schema import DetokenizeBody, InfoQuery, TokenizeBody
from homeport.domain.errors import ModelNotFound
from homeport.domain.events import Tokenised
from homeport.domain.models import ResolvedModel
from homeport.domain.text import TokenRequest


async def tokenize(request: Request) -> Response:
    """Give the token ids of a text or a conversation."""
    body = await read_json(request, TokenizeBody)
    asked = await apart(request, body.token_request)
    resolved = _resolved(request, body.model)

    def told(found: Tokenised, window: int | None) -> Mapping[str, object]:
        names = found.names if asked.names else None
        return {"count": len(found.ids), "max_model_len": window, "tokens": found.ids, "token_strs": names}

    return await respond_whole(request, resolved, _answer(request, resolved, asked, told))


async def detokenize(request: Request) -> Response:
    """Give the text of token ids."""
    body = await read_json(request, DetokenizeBody)
    asked = await apart(request, body.token_request)
    resolved = _resolved(request, body.model)
    return await respond_whole(
        request, resolved, _answer(request, resolved, asked, lambda found, _: {"prompt": found.text})
    )


async def info(request: Request) -> Response:
    """Describe a model's tokeniser, as evaluation tools expect."""
    resolved = _resolved(request, read_query(request, InfoQuery).model)
    return await respond_whole(request, resolved, _answer(request, resolved, TokenRequest(), _described))


def _resolved(request: Request, name: str | None) -> ResolvedModel:
    """The model asked for, or meant. Raises ModelNotFound."""
    models = registry(request)
    if name is None:
        names = (model.facts.name for model in models.models() if "completions" in model.facts.capabilities)
        name = next(names, None)
    if name is None:
        raise ModelNotFound("No text model is installed. Run `homeport pull`.", param="model")
    return models.resolve(name, "completions")


async def _answer(request: Request, resolved: ResolvedModel, asked: TokenRequest, told: Any) -> bytes:
    asked = msgspec.structs.replace(asked, encoding=resolved.encoding)
    found = Tokenised()
    async with admit(request, resolved, asked, "tokenize") as under_way:
        async for batch in under_way:
            found = next((event for event in batch if isinstance(event, Tokenised)), found)
    loaded = services(request).serving.loaded(resolved.model.facts.name)
    return json_codec.encode(told(found, loaded.window if loaded else resolved.model.facts.window))


def _described(found: Tokenised, window: int | None) -> Mapping[str, object]:
    facts = found.facts
    if facts is None:
        return {}
    return {
        "tokenizer_class": "Homeport",
        "model_max_length": window,
        "vocab_size": facts.vocabulary,
        "add_bos_token": facts.adds_start,
        "bos_token": facts.bos,
        "eos_token": facts.eos,
        "unk_token": facts.unknown,
        "pad_token": facts.padding,
        "chat_template": facts.chat_template,
    }
