"""The JSON of generated tokens' log-probabilities, as chats and responses have them."""

from collections.abc import Sequence

import msgspec

from homeport.api.text_generation.render import clamp_logprob
from homeport.domain.events import ScoredToken


class TopLogprob(msgspec.Struct, frozen=True):
    """A token that could have been generated here."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct, frozen=True):
    """A generated token, and the likeliest ones."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


def to_token_logprobs(scored: Sequence[ScoredToken]) -> list[TokenLogprob]:
    """Render the log-probabilities of tokens."""
    return [_token(each) for each in scored]


def _token(scored: ScoredToken) -> TokenLogprob:
    top = [TopLogprob(each.token, clamp_logprob(each.logprob), list(each.bytes)) for each in scored.top]
    # Only the first token of a document has no score, and an answer never begins a document.
    return TokenLogprob(scored.token, clamp_logprob(scored.logprob or 0.0), list(scored.bytes), top)
