"""`POST /tokenize`, `POST /detokenize` and `GET /tokenizer_info` in vLLM's format, for evaluation tools.

Ids are those of the model's own name. A request without a model uses the first listed one that completes text.
"""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.query_params import read_query
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_runner import run
from homeport.api.services import registry
from homeport.api.tokenize.convert import detokenize_to_request, tokenize_to_request
from homeport.api.tokenize.render import TokenWriter, render_facts, render_ids, render_ids_and_texts, render_text
from homeport.api.tokenize.schema import DetokenizeBody, InfoQuery, TokenizeBody
from homeport.domain.errors import ModelNotFound
from homeport.domain.models import ResolvedModel
from homeport.domain.text import TokenRequest

ENDPOINT = "tokenize"


async def tokenize(request: Request) -> Response:
    """Return the token ids of a text or a conversation."""
    body = await read_json(request, TokenizeBody)
    resolved = _resolve(request, body.model)
    engine_request = await run_in_thread_if_large(request, tokenize_to_request, body, resolved)
    writer = TokenWriter(render_ids_and_texts if body.return_token_strs else render_ids)
    return await run(request, resolved, engine_request, writer, endpoint=ENDPOINT)


async def detokenize(request: Request) -> Response:
    """Return the text of token ids."""
    body = await read_json(request, DetokenizeBody)
    resolved = _resolve(request, body.model)
    engine_request = await run_in_thread_if_large(request, detokenize_to_request, body, resolved)
    return await run(request, resolved, engine_request, TokenWriter(render_text), endpoint=ENDPOINT)


async def info(request: Request) -> Response:
    """Describe a model's tokenizer."""
    resolved = _resolve(request, read_query(request, InfoQuery).model)
    engine_request = TokenRequest(encoding=resolved.encoding)
    return await run(request, resolved, engine_request, TokenWriter(render_facts), endpoint=ENDPOINT)


def _resolve(request: Request, name: str | None) -> ResolvedModel:
    """Find the model that the caller names, or the default. Raises ModelNotFound."""
    models = registry(request)
    if name is None:
        names = (model.facts.name for model in models.models() if "completions" in model.facts.capabilities)
        name = next(names, None)
    if name is None:
        raise ModelNotFound("No text model is installed. Run `homeport pull`.", param="model")
    return models.resolve(name, "completions")
