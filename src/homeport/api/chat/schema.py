"""The body of a chat request."""

from typing import Annotated, Any

import msgspec

from homeport.api.compatibility import accepted, refused, served
from homeport.api.text_generation.schema import (
    GenerationFields,
    ParallelToolCalls,
    PromptCacheKey,
    PromptCacheOptions,
    PromptCacheRetention,
    SafetyIdentifier,
    ServiceTier,
)
from homeport.domain.history import FunctionCallFields, ToolCallFields
from homeport.domain.tool_fields import FunctionFields, ToolFields


class CacheBreakpoint(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A hint where a cached prefix may end. It changes nothing: prefixes are matched token by token."""

    mode: str


class ImageUrlBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An image, as a URL."""

    url: str
    detail: str | None = None


class FileBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A file: sent in base64, or uploaded before."""

    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class InputAudioBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A recording: base64 of a file, and the file's format."""

    data: str | None = None
    format: str | None = None


class AudioReference(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An earlier spoken answer. Only its id and its transcript count; the other fields are those of the answer."""

    id: str | None = None
    transcript: str | None = None
    expires_at: Any = None
    data: Any = None


class AudioOutputBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the answer is spoken."""

    voice: Annotated[
        str | dict[str, Any] | None,
        served(
            "A voice of `/v1/audio/speech`: one of OpenAI's names or of the model's own. Custom voices are refused."
        ),
    ] = None
    format: Annotated[
        str | None, served("wav, aac, mp3, flac, opus or pcm16 (24 kHz, one channel); only pcm16 with `stream`.")
    ] = None


class ContentPartBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One part of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrlBody | None = None
    input_audio: InputAudioBody | None = None
    file: FileBody | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class ChatMessageParam(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One message: the fields of every role, with those that clients send back from an answer (`AnswerFields`).

    A stored one is encoded without the fields that are null.
    """

    role: Annotated[str, served("system, developer, user, assistant, tool or function.")]
    content: Annotated[
        str | list[ContentPartBody] | None,
        served(
            "A string or up to 2048 parts; may be null for the roles assistant and function. Of role user: text, up to "
            "64 images in a request (image_url, or file with an image), and 128 recordings of 30 minutes together "
            "(input_audio, wav or mp3); of role tool: text and image_url."
        ),
    ] = None
    name: Annotated[
        str | None, served("Up to 1024 characters; passed to the model's template. Of role function: its name.")
    ] = None
    refusal: Annotated[str | None, served("Used as the content of an assistant message that has none.")] = None
    audio: Annotated[
        AudioReference | None,
        served("An earlier spoken answer of this project, until it expires: its transcript is the content."),
    ] = None
    tool_calls: Annotated[
        list[ToolCallFields] | None,
        served("Up to 128; arguments must be a JSON object. Each needs a result of role tool right after it."),
    ] = None
    tool_call_id: Annotated[str | None, served("Role tool: the id of the call whose result this is.")] = None
    function_call: Annotated[FunctionCallFields | None, served("2023's form of a call.")] = None
    annotations: Annotated[Any, accepted("Accepted because answers contain it; ignored.")] = None
    parsed: Annotated[Any, accepted("The client's parse of an answer; ignored.")] = None
    reasoning_content: Annotated[
        str | None, served("Extension. Earlier reasoning, which many templates only keep until the next question.")
    ] = None
    reasoning: Annotated[str | None, served("Extension. Another name of `reasoning_content`.")] = None
    id: Annotated[Any, accepted("Part of a stored completion's message; ignored.")] = None
    content_parts: Annotated[
        list[ContentPartBody] | None,
        accepted("Part of a stored completion's message; ignored, except for its images."),
    ] = None


class JsonSchemaBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The schema of an answer. Only `schema` changes the answer, which always matches it."""

    name: str | None = None
    description: str | None = None
    schema: Any = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The format of the answer."""

    type: str
    json_schema: JsonSchemaBody | None = None


class NamedToolBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The name of a declared tool."""

    name: str | None = None


class AllowedToolBody(msgspec.Struct, kw_only=True):
    """A declared tool. Fields besides type and name are ignored: it may repeat the whole declaration."""

    type: str | None = None
    function: Any = None
    custom: Any = None


class AllowedToolsBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Some of the tools."""

    mode: str | None = None
    tools: list[AllowedToolBody] | None = None


class ToolChoiceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The tool to call, or those that may be called."""

    type: str | None = None
    function: NamedToolBody | None = None
    custom: NamedToolBody | None = None
    allowed_tools: AllowedToolsBody | None = None


class PredictionBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Text that the answer is likely to repeat."""

    type: str | None = None
    content: str | list[ContentPartBody] | None = None


class TemplateVariables(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The variables of templates that turn reasoning on and off."""

    enable_thinking: bool | None = None
    thinking: bool | None = None


class ChatBody(GenerationFields, forbid_unknown_fields=True, kw_only=True):
    """The body. Fields typed `Any` are refused unless their value has no effect."""

    messages: Annotated[list[ChatMessageParam], served("1 to 2048.")]
    max_tokens: Annotated[
        int | None, served("Default: to the end of the context window, as if it is at least the whole window.")
    ] = None
    max_completion_tokens: Annotated[int | None, served("Current name of `max_tokens`; give only one of them.")] = None
    logprobs: Annotated[bool | None, served("True adds each token's log-probability.")] = None
    top_logprobs: Annotated[int | None, served("0 to 20; only with `logprobs`.")] = None
    metadata: Annotated[
        dict[str, str] | None,
        served("Up to 16 pairs; returned in answers that are not streamed, and stored with the answer by `store`."),
    ] = None
    service_tier: ServiceTier = None
    safety_identifier: SafetyIdentifier = None
    prompt_cache_key: PromptCacheKey = None
    prompt_cache_retention: PromptCacheRetention = None
    prompt_cache_options: PromptCacheOptions = None
    modalities: Annotated[
        list[str] | None,
        served(
            "['text'], or ['text', 'audio']: an installed speech model speaks the answer, of at most 2048 tokens; not "
            "together with `logprobs`, `n` above 1 or a JSON `response_format`."
        ),
    ] = None
    response_format: Annotated[
        ResponseFormat | None,
        served("text, json_object or json_schema. The answer always matches the schema, with `strict` or without."),
    ] = None
    store: Annotated[
        bool | None,
        served("True: the answer and the messages are stored, with `metadata`, until they expire. Default: false."),
    ] = None
    verbosity: Annotated[
        str | None,
        served(
            "low and high add a sentence to the system message: 'Answer as briefly as possible.' or 'Answer in full "
            "detail.'; medium adds nothing. Without a system message the sentence is one, in place of the template's."
        ),
    ] = None
    tools: Annotated[
        list[ToolFields] | None, served("Up to 128 functions and custom tools, of 1,000,000 characters together.")
    ] = None
    tool_choice: Annotated[
        str | ToolChoiceBody | None, served("none, auto, required, a tool, or allowed_tools. Default: auto.")
    ] = None
    parallel_tool_calls: ParallelToolCalls = None
    functions: Annotated[list[FunctionFields] | None, served("2023's tools; not together with `tools`.")] = None
    function_call: Annotated[str | NamedToolBody | None, served("none, auto, or a function's name. Default: auto.")] = (
        None
    )
    prediction: Annotated[
        PredictionBody | None, served("Up to 1,000,000 characters of text that the answer is likely to repeat.")
    ] = None
    reasoning_effort: Annotated[
        str | None,
        served("none, minimal, low, medium, high, xhigh; max means xhigh. Default: that of the model's template."),
    ] = None
    thinking_token_budget: Annotated[
        int | None, served("Extension of vLLM. The limit of the reasoning in tokens; 0: no reasoning.")
    ] = None
    chat_template_kwargs: Annotated[
        TemplateVariables | None,
        served("Extension of vLLM. `enable_thinking` or `thinking`: true is effort high, false is effort none."),
    ] = None
    audio: Annotated[AudioOutputBody | None, served("With modality audio.")] = None
    audio_input: Annotated[
        str | None,
        served(
            "Extension. transcribe: the text of each recording, by the model that `whisper-1` stands for, takes its "
            "place. Without it only models that hear accept recordings."
        ),
    ] = None
    moderation: Annotated[Any, refused("Not served yet.")] = None
    web_search_options: Annotated[Any, refused("Web search is not available.")] = None
