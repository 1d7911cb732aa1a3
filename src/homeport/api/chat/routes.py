"""`POST /v1/chat/completions`.

Knows nothing of templates or models: checks what can be checked without them, refuses by name what is not served,
and passes the rest on. `fields.py` says of every field which it is.
"""

from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import validation
from homeport.api.chat.messages import ChatMessageParam, parse_messages
from homeport.api.chat.render import ChatRenderer
from homeport.api.request_body import apart, read_json
from homeport.api.request_context import note_user
from homeport.api.runner import require_model_name
from homeport.api.services import caller, registry, services
from homeport.api.text_generation import schema as sampling
from homeport.api.text_generation.runner import TextCall, run_text_call
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import ChatPrompt, TextRequest

MAX_TOP_LOGPROBS = 20
MOST_MESSAGES = 2048
MOST_TOOLS = 128
TIERS = ("auto", "default")


class ResponseFormat(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the answer is to look like."""

    type: str
    json_schema: Any = None


class CacheOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How OpenAI would cache the prompt."""

    ttl: str | None = None
    mode: str | None = None


class ChatBody(sampling.GenerationFields, forbid_unknown_fields=True, kw_only=True):
    """The body. Fields typed `Any` are refused unless they say nothing."""

    messages: list[ChatMessageParam]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: CacheOptions | None = None
    modalities: list[str] | None = None
    response_format: ResponseFormat | None = None
    store: bool | None = None
    verbosity: str | None = None
    parallel_tool_calls: bool | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None
    audio: Any = None
    moderation: Any = None
    prediction: Any = None
    reasoning_effort: Any = None
    web_search_options: Any = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
        super().check()
        validation.check_items("messages", self.messages, MOST_MESSAGES, 1)
        validation.check_integer("max_tokens", self.max_tokens, 1, validation.TOKEN_ID_MAX)
        validation.check_integer("max_completion_tokens", self.max_completion_tokens, 1, validation.TOKEN_ID_MAX)
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise InvalidRequest(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
                param="max_tokens",
                code="invalid_parameter_combination",
            )
        validation.check_integer("top_logprobs", self.top_logprobs, 0, MAX_TOP_LOGPROBS)
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidRequest(
                "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
            )
        self._check_labels()
        self._refuse_unserved()
        self._refuse_tools()

    def _check_labels(self) -> None:
        """Check what only identifies the request."""
        validation.check_length("safety_identifier", self.safety_identifier, 64)
        validation.check_length("prompt_cache_key", self.prompt_cache_key, validation.LABEL_CHARS)
        validation.check_metadata("metadata", self.metadata)

    def _refuse_unserved(self) -> None:
        """Refuse what is not here, and let pass what asks for nothing beyond plain text."""
        for name in ("audio", "moderation", "prediction", "reasoning_effort", "web_search_options"):
            if getattr(self, name) is not None:
                raise validation.unsupported_field(name, "This feature is not served yet.")
        if self.store:
            raise validation.unsupported_field("store", "Completions are not stored here yet.")
        if self.modalities not in (None, ["text"]):
            raise validation.unsupported_field("modalities", "Only ['text'] is served yet.")
        if self.response_format and (self.response_format.type != "text" or self.response_format.json_schema):
            raise validation.unsupported_field("response_format", "Only {'type': 'text'} is served yet.")
        if self.verbosity not in (None, "medium"):
            raise validation.unsupported_field("verbosity", "Only 'medium', which changes nothing, is served.")
        if self.service_tier not in (None, *TIERS):
            raise validation.unsupported_field(
                "service_tier", "There is one tier of service here: 'auto' and 'default' mean it."
            )
        if self.prompt_cache_retention not in (None, "in_memory"):
            raise validation.unsupported_field(
                "prompt_cache_retention", "Prompts are cached in memory alone: 'in_memory'."
            )
        options = self.prompt_cache_options or CacheOptions()
        if options.mode not in (None, "implicit") or options.ttl not in (None, "30m"):
            raise validation.unsupported_field("prompt_cache_options", "Only mode 'implicit' and ttl '30m' are served.")

    def _refuse_tools(self) -> None:
        for name in ("tools", "functions"):
            validation.check_items(name, getattr(self, name), MOST_TOOLS)
            if getattr(self, name):
                raise validation.unsupported_field(name, "Tool calls are not served yet.")
        for name, list_name in (("tool_choice", "tools"), ("function_call", "functions")):
            if getattr(self, name) not in (None, "none", "auto"):
                raise InvalidRequest(
                    f"Invalid value for '{name}': '{name}' is only allowed when '{list_name}' are specified.",
                    param=name,
                    code="unsupported_parameter",
                )

    def to_request(self, project: str, default_tokens: int | None = None) -> TextRequest:
        """Check this and turn it into what a text engine is asked for. Raises InvalidRequest.

        `default_tokens`: what the answer has at most where the body names no limit, but no less than its `min_tokens`.
        """
        self.check()
        most = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
        return TextRequest(
            prompts=(ChatPrompt(parse_messages(self.messages)),),
            sampling=self.sampling_params(),
            stopping=self.stopping_criteria(getattr(self, most), most, default_tokens),
            n=self.choices,
            best_of=self.choices,
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            project=project,
        )


async def create(request: Request) -> Response:
    """Answer a conversation."""
    body = await read_json(request, ChatBody)
    note_user(request.scope, body.safety_identifier, body.user)
    model = require_model_name(body.model, None)
    asked = await apart(request, body.to_request, caller(request).project, services(request).limits.answer_tokens)
    resolved = registry(request).resolve(model, "chat")
    shape = partial(ChatRenderer, has_logprobs=bool(body.logprobs), has_usage=body.has_usage, metadata=body.metadata)
    call = TextCall("chat", "chatcmpl-", resolved, asked, shape, shape if body.stream else None, body.is_padded)
    return await run_text_call(request, call)
