"""From the fields that text endpoints share to sampling and stopping, checks included. Knows no model."""

from typing import TypeVar

from homeport.api.text_generation.schema import CacheOptions, GenerationFields, SamplingFields
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import SamplingParams, StoppingCriteria

T = TypeVar("T")

MAX_STOP_STRINGS = 4
MAX_STOP_TOKEN_IDS = 128
MAX_STOP_CHARS = 4096
MAX_BIASES = 16_384
MAX_CANDIDATES = 4096
TIERS = ("auto", "default")


def check_generation(body: GenerationFields) -> None:
    """Check the fields that completions and chat share. Raises InvalidRequest naming the field."""
    check_sampling(body)
    validation.check_integer("n", body.n, 1, 128)
    if body.stream_options is not None and not body.stream:
        raise stream_options_without_stream()


def check_sampling(body: SamplingFields) -> None:
    """Check how text is sampled and when it ends. Raises InvalidRequest naming the field."""
    validation.check_number("temperature", body.temperature, 0, 2)
    validation.check_number("top_p", body.top_p, 0, 1)
    validation.check_number("presence_penalty", body.presence_penalty, -2, 2)
    validation.check_number("frequency_penalty", body.frequency_penalty, -2, 2)
    validation.check_integer("seed", body.seed, *validation.INT64)
    _check_extensions(body)
    _check_stop(body)
    validation.check_length("user", body.user, validation.LABEL_CHARS)
    validation.check_entries("logit_bias", body.logit_bias, MAX_BIASES)


def stream_options_without_stream() -> InvalidRequest:
    """Make the error for `stream_options` of an answer that is not streamed."""
    return InvalidRequest(
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
    )


def _check_extensions(body: SamplingFields) -> None:
    validation.check_integer("top_k", body.top_k, -1, validation.TOKEN_ID_MAX)
    validation.check_number("min_p", body.min_p, 0, 1)
    validation.check_positive("repetition_penalty", body.repetition_penalty, 10)
    validation.check_integer("min_tokens", body.min_tokens, 0, validation.TOKEN_ID_MAX)
    validation.check_items("stop_token_ids", body.stop_token_ids, MAX_STOP_TOKEN_IDS)
    validation.check_token_ids("stop_token_ids", body.stop_token_ids or ())


def _check_stop(body: SamplingFields) -> None:
    if isinstance(body.stop, str):
        validation.check_length("stop", body.stop, MAX_STOP_CHARS, 1)
        return
    validation.check_items("stop", body.stop, MAX_STOP_STRINGS)
    for at, each in enumerate(body.stop or ()):
        validation.check_length(f"stop[{at}]", each, MAX_STOP_CHARS, 1)


def to_sampling(body: SamplingFields) -> SamplingParams:
    """Convert how tokens are sampled. Raises InvalidRequest for a wrong bias."""
    default = SamplingParams()
    return SamplingParams(
        temperature=_or_default(body.temperature, default.temperature),
        top_p=_or_default(body.top_p, default.top_p),
        top_k=max(0, _or_default(body.top_k, default.top_k)),
        min_p=_or_default(body.min_p, default.min_p),
        presence_penalty=_or_default(body.presence_penalty, default.presence_penalty),
        frequency_penalty=_or_default(body.frequency_penalty, default.frequency_penalty),
        repetition_penalty=_or_default(body.repetition_penalty, default.repetition_penalty),
        seed=body.seed,
        logit_bias=_biases(body.logit_bias),
    )


def to_stopping(
    body: SamplingFields, max_tokens: int | None, source_field: str = "max_tokens", default_tokens: int | None = None
) -> StoppingCriteria:
    """Convert when a choice ends. `source_field` is the field that `max_tokens` comes from.

    `default_tokens` bounds choices without `max_tokens`, but not below `min_tokens`. Raises InvalidRequest if
    `min_tokens` is above `max_tokens`.
    """
    minimum = _or_default(body.min_tokens, 0)
    if max_tokens is not None and minimum > max_tokens:
        raise InvalidRequest(
            f"'min_tokens' ({minimum}) must not be greater than '{source_field}' ({max_tokens}).", param="min_tokens"
        )
    return StoppingCriteria(
        max_tokens=max_tokens,
        default_tokens=None if default_tokens is None else max(default_tokens, minimum),
        min_tokens=minimum,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        stop_token_ids=tuple(body.stop_token_ids or ()),
        ignore_eos=bool(body.ignore_eos),
    )


def check_candidates(prompts: int, per_prompt: int, param: str) -> None:
    """Check how many candidates one request generates. Raises InvalidRequest naming `param`."""
    if prompts * per_prompt > MAX_CANDIDATES:
        raise InvalidRequest(
            f"One request may generate {MAX_CANDIDATES} answers; {prompts} prompts with {per_prompt} each are "
            f"{prompts * per_prompt}. Send fewer prompts at once or lower '{param}'.",
            param=param,
        )


def _or_default(value: T | None, default: T) -> T:
    return default if value is None else value


def _biases(logit_bias: dict[str, float] | None) -> dict[int, float]:
    biases: dict[int, float] = {}
    for key, value in (logit_bias or {}).items():
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


def check_caching(key: str | None, retention: str | None, options: CacheOptions | None) -> None:
    """Check how the prompt is cached. Raises InvalidRequest naming the field."""
    validation.check_length("prompt_cache_key", key, validation.LABEL_CHARS)
    if retention not in (None, "in_memory"):
        raise validation.unsupported_field(
            "prompt_cache_retention", "Prompts are cached in memory only: use 'in_memory'."
        )
    options = options or CacheOptions()
    if options.mode not in (None, "implicit") or options.ttl not in (None, "30m"):
        raise validation.unsupported_field("prompt_cache_options", "Only mode 'implicit' and ttl '30m' are served.")


def check_tier(tier: str | None) -> None:
    """Check the service tier. Raises InvalidRequest for one that is not served."""
    if tier not in (None, *TIERS):
        raise validation.unsupported_field(
            "service_tier", "There is one service tier: 'auto' and 'default' both select it."
        )
