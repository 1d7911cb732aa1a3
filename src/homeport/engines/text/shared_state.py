"""What all answers of a request share, built once per request, and the limit on prompts times answers.

Built by the threads that prepare requests, so that the step thread, which all requests share, only uses it. Knows
nothing of scheduling.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from homeport.domain.errors import InvalidRequest
from homeport.domain.text import TextRequest
from homeport.engines.text.prompt_lookup import LookupSource
from homeport.engines.text.sampling import NO_TOKENS, LogitBias, Tokens
from homeport.engines.text.stop_strings import StopStrings

MOST_TOKENS = 1 << 22
"""Tokens of all prompts together, each counted for every answer drawn to it: every answer keeps its own list."""
MOST_ECHOED_TOKENS, MOST_ECHOED_CHARS = 1 << 18, 1 << 24
"""Tokens with their log-probabilities, and characters, of one prompt that several answers repeat."""


class SharedState(NamedTuple):
    """What the answers to one prompt share: `ends` finish them, `prompt_ids` are penalised (each once, ascending).

    `source` is what they may copy, None where nothing is guessed.
    """

    stops: StopStrings
    ends: frozenset[int]
    end_ids: Tokens
    prompt_ids: Tokens
    source: LookupSource | None = None


class SharedStateBuilder:
    """Builds the shares of one request; equal parts are built once."""

    def __init__(self, request: TextRequest, *, speculates: bool = False) -> None:
        self._request = request
        self._speculates = speculates
        self._stops: dict[tuple[str, ...], StopStrings] = {}
        self._ends: dict[frozenset[int], tuple[frozenset[int], Tokens]] = {}

    def of(
        self, ids: Sequence[int], ends: frozenset[int], stop: tuple[str, ...] = (), copied: Sequence[int] = ()
    ) -> SharedState:
        """The share of a prompt of these tokens, whose answers end with these tokens and strings too.

        `copied`: what these are likely to repeat; where there is nothing, they may copy the prompt.
        """
        ending = self._request.stopping
        strings = (*ending.stop, *stop)
        if strings not in self._stops:
            self._stops[strings] = StopStrings(strings)
        if ends not in self._ends:
            found = frozenset(ending.stop_token_ids) | (frozenset() if ending.ignore_eos else ends)
            self._ends[ends] = found, np.array(sorted(found), dtype=np.int32)
        repeats = self._request.sampling.repetition_penalty != 1.0
        prompt_ids = np.unique(np.array(ids, dtype=np.int32)) if repeats else NO_TOKENS
        source = LookupSource(copied or ids, is_likely=bool(copied)) if self._speculates else None
        return SharedState(self._stops[strings], *self._ends[ends], prompt_ids, source)


def check_bans(request: TextRequest, bias: LogitBias, shares: Sequence[SharedState], vocabulary: int) -> None:
    """Raise InvalidRequest where no token is left that an answer could begin with."""
    if not len(bias.banned):
        return
    banned = frozenset(bias.banned.tolist())
    for ends in {share.ends if request.stopping.min_tokens else frozenset() for share in shares}:
        if len(banned | ends) >= vocabulary:
            raise InvalidRequest("Invalid 'logit_bias': every token of this model is banned.", param="logit_bias")


def check_size(request: TextRequest, tokens: Sequence[int], chars: Sequence[int]) -> None:
    """Raise InvalidRequest for prompts of these sizes with too many answers each."""
    each = max(request.best_of, request.n)
    param = "best_of" if request.best_of > request.n else "n"
    if each == 1:
        return
    if sum(tokens) * each > MOST_TOKENS:
        raise InvalidRequest(
            f"Invalid '{param}': the prompts have {sum(tokens)} tokens, times {each} answers {sum(tokens) * each}; "
            f"the limit is {MOST_TOKENS}. Ask for fewer answers, or split the request.",
            param=param,
        )
    if not request.echo:
        return
    is_scored = request.logprobs is not None
    most, sizes = (MOST_ECHOED_TOKENS, tokens) if is_scored else (MOST_ECHOED_CHARS, chars)
    if max(sizes, default=0) * each > most:
        what = "tokens with log-probabilities" if is_scored else "characters"
        raise InvalidRequest(
            f"Invalid '{param}': with 'echo', {each} answers repeat a prompt of {max(sizes)} {what}; the limit "
            f"is {most} in all. Ask for fewer answers.",
            param=param,
        )
