"""`POST /v1/chat/completions`.

Knows nothing of templates or models: checks what can be checked without them, refuses by name what is not served,
and passes the rest on. `schema.py` annotates every field with what becomes of it.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.chat.messages import parse_messages
from homeport.api.chat.render import ChatRenderer
from homeport.api.chat.schema import ChatBody
from homeport.api.request_body import apart, read_json
from homeport.api.request_context import note_user
from homeport.api.runner import require_model_name
from homeport.api.services import caller, registry, services
from homeport.api.text_generation.runner import TextCall, run_text_call
from homeport.domain.text import ChatPrompt, TextRequest


def to_request(body: ChatBody, project: str, default_tokens: int | None = None) -> TextRequest:
    """Check this and turn it into what a text engine is asked for. Raises InvalidRequest.

    `default_tokens`: what the answer has at most where the body names no limit, but no less than its `min_tokens`.
    """
    body.check()
    most = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
    return TextRequest(
        prompts=(ChatPrompt(parse_messages(body.messages)),),
        sampling=body.sampling_params(),
        stopping=body.stopping_criteria(getattr(body, most), most, default_tokens),
        n=body.choices,
        best_of=body.choices,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        project=project,
    )


async def create(request: Request) -> Response:
    """Answer a conversation."""
    body = await read_json(request, ChatBody)
    note_user(request.scope, body.safety_identifier, body.user)
    model = require_model_name(body.model, None)
    asked = await apart(request, to_request, body, caller(request).project, services(request).limits.answer_tokens)
    resolved = registry(request).resolve(model, "chat")
    shape = partial(ChatRenderer, has_logprobs=bool(body.logprobs), has_usage=body.has_usage, metadata=body.metadata)
    call = TextCall("chat", "chatcmpl-", resolved, asked, shape, shape if body.stream else None, body.is_padded)
    return await run_text_call(request, call)
