"""The body of chat and its checks. Knows no template and no model."""

from typing import Annotated, Any

import msgspec

from homeport.api import validation
from homeport.api.compatibility import accepted, refused, served
from homeport.api.text_generation import schema as sampling
from homeport.domain.errors import InvalidRequest

MAX_TOP_LOGPROBS = 20
MOST_MESSAGES = 2048
MOST_TOOLS = 128
TIERS = ("auto", "default")


class CacheBreakpoint(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A hint where a cached prefix may end. Prefixes are matched token by token here, so it changes nothing."""

    mode: str


class ContentPartBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One piece of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: Any = None
    input_audio: Any = None
    file: Any = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class ChatMessageParam(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One message: the fields of every role, with those that clients send back from an answer (`AnswerFields`)."""

    role: Annotated[str, served("system, developer, user, assistant; tool and function are not served yet.")]
    content: Annotated[
        str | list[ContentPartBody] | None, served("Text, or up to 2048 text parts; an assistant's may be null.")
    ] = None
    name: Annotated[str | None, served("Up to 1024 characters; passed to the model's template.")] = None
    refusal: Annotated[str | None, served("Stands for an assistant's missing content.")] = None
    audio: Annotated[Any, refused("Not served yet; null passes.")] = None
    tool_calls: Annotated[Any, refused("Not served yet; null and an empty array pass.")] = None
    tool_call_id: Annotated[Any, refused("Not served yet.")] = None
    function_call: Annotated[Any, refused("Not served yet; null passes.")] = None
    annotations: Annotated[Any, accepted("Accepted as in answers, and ignored.")] = None
    parsed: Annotated[Any, accepted("What the client parsed from an answer; ignored.")] = None
    reasoning_content: Annotated[Any, accepted("Extension. Accepted and ignored: earlier reasoning is not read.")] = (
        None
    )
    reasoning: Annotated[Any, accepted("Extension. The same under another name.")] = None
    id: Annotated[Any, accepted("Of a stored completion's message; ignored.")] = None
    content_parts: Annotated[Any, accepted("Of a stored completion's message; ignored.")] = None


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

    messages: Annotated[list[ChatMessageParam], served("1 to 2048.")]
    max_tokens: Annotated[int | None, served("To the end of the window unless given.")] = None
    max_completion_tokens: Annotated[int | None, served("Today's name of `max_tokens`; not both.")] = None
    logprobs: Annotated[bool | None, served("True adds each token's log-probability.")] = None
    top_logprobs: Annotated[int | None, served("0 to 20; only with `logprobs`.")] = None
    metadata: Annotated[
        dict[str, str] | None, served("Up to 16 pairs; given back in an answer that is not streamed.")
    ] = None
    service_tier: Annotated[str | None, accepted("auto and default, which are one here; others are refused.")] = None
    safety_identifier: Annotated[
        str | None, accepted("Up to 64 characters; identifies your user to you, changes nothing.")
    ] = None
    prompt_cache_key: Annotated[
        str | None, accepted("Up to 1024 characters; changes nothing: shared prefixes are found by their tokens.")
    ] = None
    prompt_cache_retention: Annotated[
        str | None, accepted("in_memory, which is how prompts are cached; 24h is refused.")
    ] = None
    prompt_cache_options: Annotated[
        CacheOptions | None, accepted("Mode implicit and ttl 30m change nothing; others are refused.")
    ] = None
    modalities: Annotated[list[str] | None, refused("['text'] passes.")] = None
    response_format: Annotated[ResponseFormat | None, refused("{'type': 'text'} passes.")] = None
    store: Annotated[bool | None, refused("Completions are not stored yet; false passes.")] = None
    verbosity: Annotated[str | None, refused("medium, the default, passes.")] = None
    parallel_tool_calls: Annotated[bool | None, accepted("Without tools there is nothing to do at once.")] = None
    tools: Annotated[list[Any] | None, refused("Not served yet; an empty array passes.")] = None
    tool_choice: Annotated[Any, refused("none and auto pass.")] = None
    functions: Annotated[list[Any] | None, refused("Not served yet; an empty array passes.")] = None
    function_call: Annotated[Any, refused("none and auto pass.")] = None
    audio: Annotated[Any, refused("Not served yet.")] = None
    moderation: Annotated[Any, refused("Not served yet.")] = None
    prediction: Annotated[Any, refused("Not served yet.")] = None
    reasoning_effort: Annotated[Any, refused("Not served yet.")] = None
    web_search_options: Annotated[Any, refused("There is no search here.")] = None

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
