"""The fields that completions and chat share. Every field may be null, which means its default."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import MODEL, accepted, served


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the chunks of a stream contain."""

    include_usage: Annotated[bool | None, served("A last chunk with empty `choices` and the usage.")] = None
    include_obfuscation: Annotated[bool | None, served("Random `obfuscation` in each chunk; off by default.")] = None


class GenerationFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How text is sampled and when it ends: OpenAI's fields, and six extensions."""

    model: Annotated[str | None, MODEL] = None
    temperature: Annotated[float | None, served("0 to 2; 0 always chooses the most likely token.")] = None
    top_p: Annotated[float | None, served("0 to 1.")] = None
    n: Annotated[int | None, served("1 to 128; the prompt is computed once.")] = None
    stream: Annotated[bool | None, served("Server-sent events, ended by `data: [DONE]`.")] = None
    stream_options: Annotated[StreamOptions | None, served("Only with `stream`.")] = None
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
