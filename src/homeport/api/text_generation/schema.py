"""The fields that completions and chat share, their checks, and the domain values that they become.

Knows no prompts and no answers. Every field may be null, which means its default.
"""

from typing import Annotated, TypeVar

import msgspec

from homeport.api import validation
from homeport.api.compatibility import MODEL, accepted, served
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import SamplingParams, StoppingCriteria

T = TypeVar("T")

MAX_STOP_STRINGS = 4
MAX_STOP_TOKEN_IDS = 128
MOST_STOP_CHARS = 4096
MOST_BIASES = 16_384
MAX_CANDIDATES = 4096


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Options of a stream."""

    include_usage: Annotated[bool | None, served("A last chunk with empty `choices` and the usage.")] = None
    include_obfuscation: Annotated[bool | None, served("Random `obfuscation` in each chunk; off by default.")] = None


class GenerationFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """OpenAI's fields for sampling and stopping, and six extensions."""

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
        """The number of answers for each prompt."""
        return 1 if self.n is None else self.n

    @property
    def has_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def is_padded(self) -> bool:
        """Whether the chunks of a stream are padded."""
        return bool(self.stream_options and self.stream_options.include_obfuscation)

    def check(self) -> None:
        """Check the shared fields. Raises InvalidRequest."""
        validation.check_number("temperature", self.temperature, 0, 2)
        validation.check_number("top_p", self.top_p, 0, 1)
        validation.check_number("presence_penalty", self.presence_penalty, -2, 2)
        validation.check_number("frequency_penalty", self.frequency_penalty, -2, 2)
        validation.check_integer("n", self.n, 1, 128)
        validation.check_integer("seed", self.seed, *validation.INT64)
        self._check_extensions()
        self._check_stop()
        validation.check_length("user", self.user, validation.LABEL_CHARS)
        validation.check_entries("logit_bias", self.logit_bias, MOST_BIASES)
        if self.stream_options is not None and not self.stream:
            raise InvalidRequest(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
            )

    def _check_extensions(self) -> None:
        validation.check_integer("top_k", self.top_k, -1, validation.TOKEN_ID_MAX)
        validation.check_number("min_p", self.min_p, 0, 1)
        validation.check_positive("repetition_penalty", self.repetition_penalty, 10)
        validation.check_integer("min_tokens", self.min_tokens, 0, validation.TOKEN_ID_MAX)
        validation.check_items("stop_token_ids", self.stop_token_ids, MAX_STOP_TOKEN_IDS)
        validation.check_token_ids("stop_token_ids", self.stop_token_ids or ())

    def _check_stop(self) -> None:
        if isinstance(self.stop, str):
            validation.check_length("stop", self.stop, MOST_STOP_CHARS, 1)
            return
        validation.check_items("stop", self.stop, MAX_STOP_STRINGS)
        for at, each in enumerate(self.stop or ()):
            validation.check_length(f"stop[{at}]", each, MOST_STOP_CHARS, 1)

    def sampling_params(self) -> SamplingParams:
        """Make the parameters of sampling."""
        default = SamplingParams()
        return SamplingParams(
            temperature=_or_default(self.temperature, default.temperature),
            top_p=_or_default(self.top_p, default.top_p),
            top_k=max(0, _or_default(self.top_k, default.top_k)),
            min_p=_or_default(self.min_p, default.min_p),
            presence_penalty=_or_default(self.presence_penalty, default.presence_penalty),
            frequency_penalty=_or_default(self.frequency_penalty, default.frequency_penalty),
            repetition_penalty=_or_default(self.repetition_penalty, default.repetition_penalty),
            seed=self.seed,
            logit_bias=_biases(self.logit_bias),
        )

    def stopping_criteria(
        self, max_tokens: int | None, source_field: str = "max_tokens", default_tokens: int | None = None
    ) -> StoppingCriteria:
        """Make the stopping criteria. `source_field`: the field that `max_tokens` comes from, for the error."""
        least = _or_default(self.min_tokens, 0)
        if max_tokens is not None and least > max_tokens:
            raise InvalidRequest(
                f"'min_tokens' ({least}) must not be greater than '{source_field}' ({max_tokens}).", param="min_tokens"
            )
        return StoppingCriteria(
            max_tokens=max_tokens,
            default_tokens=None if default_tokens is None else max(default_tokens, least),
            min_tokens=least,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            stop_token_ids=tuple(self.stop_token_ids or ()),
            ignore_eos=bool(self.ignore_eos),
        )


def check_candidates(prompts: int, per_prompt: int, param: str) -> None:
    """Check the number of answers of one request, over all prompts. Raises InvalidRequest that names `param`."""
    if prompts * per_prompt > MAX_CANDIDATES:
        raise InvalidRequest(
            f"One request may generate {MAX_CANDIDATES} answers; {prompts} prompts with {per_prompt} each are "
            f"{prompts * per_prompt}. Send fewer prompts at once or lower '{param}'.",
            param=param,
        )


def _or_default(value: T | None, default: T) -> T:
    return default if value is None else value


def _biases(table: dict[str, float] | None) -> dict[int, float]:
    biases: dict[int, float] = {}
    for key, value in (table or {}).items():
        if not (key.isascii() and key.isdigit() and len(key) <= 10) or int(key) > validation.TOKEN_ID_MAX:
            raise InvalidRequest(
                f"Invalid key in 'logit_bias': {key[:40]}. You should only be submitting non-negative integers.",
                param="logit_bias",
                code="invalid_value",
            )
        if not -100 <= value <= 100:
            validation.check_number("logit_bias", value, -100, 100)
        biases[int(key)] = value
    return biases
