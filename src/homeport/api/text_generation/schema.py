"""The fields that completions and chat share. Every field may be null, which means its default."""

from typing import Annotated, Any

import msgspec

from homeport.api.compatibility import MODEL, accepted, served


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the chunks of a stream contain."""

    include_usage: Annotated[bool | None, served("A last chunk with empty `choices` and the usage.")] = None
    include_obfuscation: Annotated[bool | None, served("Random `obfuscation` in each chunk; off by default.")] = None


class StructuredOutputs(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the answer's text must be; vLLM's fields. Exactly one of them is set."""

    json: Annotated[Any, served("A JSON Schema: an object, or its JSON text.")] = None
    regex: Annotated[str | None, served("A regular expression for the whole text, of up to 100,000 characters.")] = None
    choice: Annotated[list[str] | None, served("Up to 1024 texts, of which the answer is one.")] = None
    grammar: Annotated[str | None, served("A grammar in Lark, of up to 100,000 characters.")] = None
    json_object: Annotated[bool | None, served("True: any JSON object.")] = None


class GrammarBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A grammar for the answer's text."""

    type: Annotated[str | None, served("lark or regex.")] = None
    definition: Annotated[str | None, served("Up to 100,000 characters.")] = None


class CacheOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How OpenAI caches the prompt."""

    ttl: str | None = None
    mode: str | None = None


# Fields of chats and of responses.
ServiceTier = Annotated[str | None, accepted("auto and default, which mean the same here; others are refused.")]
SafetyIdentifier = Annotated[
    str | None, accepted("Up to 64 characters; identifies your end user, does not change the answer.")
]
PromptCacheKey = Annotated[
    str | None, accepted("Up to 1024 characters; has no effect: shared prefixes are found by their tokens.")
]
PromptCacheRetention = Annotated[str | None, accepted("in_memory, which is how prompts are cached; 24h is refused.")]
PromptCacheOptions = Annotated[
    CacheOptions | None, accepted("Mode implicit and ttl 30m have no effect; others are refused.")
]
ParallelToolCalls = Annotated[bool | None, served("False: at most one call. Default: true.")]


class SamplingFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How text is sampled and when it ends: OpenAI's fields, and extensions."""

    model: Annotated[str | None, MODEL] = None
    temperature: Annotated[float | None, served("0 to 2; 0 always chooses the most likely token.")] = None
    top_p: Annotated[float | None, served("0 to 1.")] = None
    stream: Annotated[bool | None, served("Server-sent events, ended by `data: [DONE]`.")] = None
    stop: Annotated[
        str | list[str] | None, served("Up to 4 strings of 1 to 4096 characters; they never appear in the text.")
    ] = None
    presence_penalty: Annotated[float | None, served("-2 to 2, over generated tokens.")] = None
    frequency_penalty: Annotated[float | None, served("-2 to 2, over generated tokens.")] = None
    logit_bias: Annotated[
        dict[str, float] | None,
        served("-100 to 100 by token id in the requested model's encoding; up to 16,384 entries."),
    ] = None
    seed: Annotated[int | None, served("A signed 64-bit integer. The same seed makes the same random choices.")] = None
    user: Annotated[
        str | None, accepted("Up to 1024 characters; identifies your end user, does not change the answer.")
    ] = None
    top_k: Annotated[int | None, served("Extension. 0 or -1: off.")] = None
    min_p: Annotated[float | None, served("Extension. 0 to 1; 0: off.")] = None
    repetition_penalty: Annotated[
        float | None, served("Extension. Above 0, up to 10, over prompt and output; 1: off.")
    ] = None
    ignore_eos: Annotated[bool | None, served("Extension. Generation continues past the end-of-sequence token.")] = None
    min_tokens: Annotated[int | None, served("Extension. Minimum number of tokens before an end token.")] = None
    stop_token_ids: Annotated[list[int] | None, served("Extension. Up to 128 ids that end the text.")] = None


class GenerationFields(SamplingFields, forbid_unknown_fields=True, kw_only=True):
    """The fields of completions and chat: sampling, the number of choices, and what the text must be."""

    n: Annotated[int | None, served("1 to 128; the prompt is computed once.")] = None
    stream_options: Annotated[StreamOptions | None, served("Only with `stream`.")] = None
    grammar: Annotated[
        GrammarBody | None, served("Extension. Binds the text to a grammar. Only one field may bind the text.")
    ] = None
    structured_outputs: Annotated[StructuredOutputs | None, served("Extension of vLLM. Binds the text.")] = None
    guided_json: Annotated[Any, served("Extension of vLLM. Another name of `structured_outputs.json`.")] = None
    guided_regex: Annotated[str | None, served("Extension of vLLM. Another name of `structured_outputs.regex`.")] = None
    guided_choice: Annotated[
        list[str] | None, served("Extension of vLLM. Another name of `structured_outputs.choice`.")
    ] = None
    guided_grammar: Annotated[
        str | None, served("Extension of vLLM. Another name of `structured_outputs.grammar`.")
    ] = None

    @property
    def choices(self) -> int:
        """The number of choices per prompt."""
        return 1 if self.n is None else self.n

    @property
    def has_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def is_padded(self) -> bool:
        """Whether the chunks of a stream are padded."""
        return bool(self.stream_options and self.stream_options.include_obfuscation)
