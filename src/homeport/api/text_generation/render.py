"""The JSON that all text answers share: usage, and the limit that ended an answer. Knows nothing of chunks or HTTP."""

from typing import NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from homeport.domain.events import Usage

LOGPROB_MIN = -9999.0
"""OpenAI's value for the logarithm of zero, which JSON cannot write."""


class PromptDetails(msgspec.Struct, frozen=True):
    """Where the prompt's tokens came from."""

    cached_tokens: int
    audio_tokens: int = 0


class CompletionDetails(msgspec.Struct, frozen=True):
    """The kinds of the generated tokens, and how many of the caller's prediction came true or did not."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class AnswerBody(msgspec.Struct, frozen=True, kw_only=True):
    """An extension of answers and chunks. `limited_by`: the limit of the key that ended the answer."""

    limited_by: str | UnsetType = UNSET


B = TypeVar("B", bound=msgspec.Struct)


def with_limit(body: B, limited_by: str) -> B:
    """Return the body with the limit of the key that ended the answer or choice; unchanged if that is empty."""
    return msgspec.structs.replace(body, limited_by=limited_by) if limited_by else body


class UsageBody(msgspec.Struct, frozen=True):
    """OpenAI's `usage`."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class AudioTokens(NamedTuple):
    """The tokens of audio that other models than the text model computed for a request: heard, and spoken.

    `cached`: those of the heard ones that were computed for an earlier request.
    """

    heard: int = 0
    spoken: int = 0
    cached: int = 0


NO_AUDIO_TOKENS = AudioTokens()


def render_usage(usage: Usage, audio: AudioTokens = NO_AUDIO_TOKENS) -> UsageBody:
    """Render what a request cost. The tokens of `audio` are added to those of the text model."""
    prompt, completion = usage.prompt_tokens + audio.heard, usage.completion_tokens + audio.spoken
    details = CompletionDetails(
        reasoning_tokens=usage.reasoning_tokens,
        audio_tokens=audio.spoken,
        accepted_prediction_tokens=usage.accepted_tokens,
        rejected_prediction_tokens=usage.rejected_tokens,
    )
    prompt_details = PromptDetails(usage.cached_tokens + audio.cached, audio.heard)
    return UsageBody(prompt, completion, prompt + completion, prompt_details, details)


def clamp_logprob(logprob: float) -> float:
    """Return a log-probability that JSON can write."""
    return max(logprob, LOGPROB_MIN)
