"""A request after preparation: token ids of its prompts, and the state that all answers to a prompt share.

Also the limit on prompts times answers. The prepare threads build these values, so that the step thread, which all
requests share, only reads them. Knows nothing of scheduling.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from homeport.domain.content import MediaPart
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import TextRequest
from homeport.engines.text.answer_plan import AnswerPlan
from homeport.engines.text.media.blocks import MediaContent, PlacedBlock
from homeport.engines.text.prompt_lookup import LookupSource
from homeport.engines.text.sampling import NO_TOKENS, LogitBias, Tokens
from homeport.engines.text.stop_strings import StopStrings

MAX_TOKENS = 1 << 22
"""Tokens of all prompts together, each counted once per answer: every answer keeps its own list."""
MAX_ECHOED_TOKENS, MAX_ECHOED_CHARS = 1 << 18, 1 << 24
"""Tokens with log-probabilities, and characters, of one prompt that several answers repeat."""


class PreparedPrompt(msgspec.Struct, frozen=True):
    """One prompt as the model reads it.

    `text` is the prompt as echo returns it and `chars` its length. `stop` are stop strings in addition to the
    caller's; `end_tokens` are the ids that end the answer. `copy_source` holds ids that the answer is likely to repeat.
    `changes` names the changes made to a conversation for the model's template. `plan` as in `SharedState`. `media`:
    the blocks of embeddings at negative ids, by place; `parts`: the pictures and sound that they stand for, in order.
    """

    ids: tuple[int, ...]
    chars: int
    text: str
    end_tokens: frozenset[int]
    stop: tuple[str, ...] = ()
    copy_source: tuple[int, ...] = ()
    changes: tuple[str, ...] = ()
    plan: AnswerPlan | None = None
    media: tuple[PlacedBlock, ...] = ()
    parts: tuple[tuple[MediaPart, MediaContent], ...] = ()


class SharedState(NamedTuple):
    """What the answers to one prompt share: `ends` end them, `prompt_ids` are penalized (each once, ascending).

    `source` is the text that drafts may copy; None if nothing is drafted. `plan`: how the answers are constrained and
    parsed; None if any text may follow, all of it content.
    """

    stops: StopStrings
    ends: frozenset[int]
    end_ids: Tokens
    prompt_ids: Tokens
    source: LookupSource | None = None
    plan: AnswerPlan | None = None


class PreparedPrompts(msgspec.Struct, frozen=True):
    """A request's prompts, its bias as model ids, the tokens each prompt may generate, and each one's shared state."""

    prompts: tuple[PreparedPrompt, ...]
    bias: LogitBias
    budget: tuple[int, ...]
    shares: tuple[SharedState, ...]


class SharedStateBuilder:
    """Builds the shared state of each prompt of one request; equal parts are built once."""

    def __init__(self, request: TextRequest, *, speculates: bool = False) -> None:
        self._request = request
        self._speculates = speculates
        self._stops: dict[tuple[str, ...], StopStrings] = {}
        self._ends: dict[frozenset[int], tuple[frozenset[int], Tokens]] = {}

    def of(self, prompt: PreparedPrompt) -> SharedState:
        """Return the shared state of a prompt. If the answers are likely to repeat nothing, drafts may copy it."""
        stopping = self._request.stopping
        ids, ends, copied = prompt.ids, prompt.end_tokens, prompt.copy_source
        strings = (*stopping.stop, *prompt.stop)
        if strings not in self._stops:
            self._stops[strings] = StopStrings(strings)
        if ends not in self._ends:
            all_ends = frozenset(stopping.stop_token_ids) | (frozenset() if stopping.ignore_eos else ends)
            self._ends[ends] = all_ends, np.array(sorted(all_ends), dtype=np.int32)
        repeats = self._request.sampling.repetition_penalty != 1.0
        prompt_ids = np.unique(np.array([id for id in ids if id >= 0], dtype=np.int32)) if repeats else NO_TOKENS
        source = LookupSource(copied or ids, is_likely=bool(copied)) if self._speculates else None
        return SharedState(self._stops[strings], *self._ends[ends], prompt_ids, source, prompt.plan)


def check_bans(request: TextRequest, bias: LogitBias, shares: Sequence[SharedState], vocabulary: int) -> None:
    """Raise InvalidRequest if the bans leave no token that an answer could begin with."""
    if not len(bias.banned):
        return
    banned = frozenset(bias.banned.tolist())
    for ends in {share.ends if request.stopping.min_tokens else frozenset() for share in shares}:
        if len(banned | ends) >= vocabulary:
            raise InvalidRequest("Invalid 'logit_bias': every token of this model is banned.", param="logit_bias")


def check_size(request: TextRequest, tokens: Sequence[int], chars: Sequence[int]) -> None:
    """Raise InvalidRequest if prompts of these sizes have too many answers each."""
    answers = max(request.best_of, request.n)
    param = "best_of" if request.best_of > request.n else "n"
    if answers == 1:
        return
    n_tokens = sum(tokens)
    if n_tokens * answers > MAX_TOKENS:
        raise InvalidRequest(
            f"Invalid '{param}': the prompts have {n_tokens} tokens, times {answers} answers {n_tokens * answers}; "
            f"the limit is {MAX_TOKENS}. Ask for fewer answers, or split the request.",
            param=param,
        )
    if not request.echo:
        return
    is_scored = request.logprobs is not None
    limit, sizes = (MAX_ECHOED_TOKENS, tokens) if is_scored else (MAX_ECHOED_CHARS, chars)
    if max(sizes, default=0) * answers > limit:
        unit = "tokens with log-probabilities" if is_scored else "characters"
        raise InvalidRequest(
            f"Invalid '{param}': with 'echo', {answers} answers repeat a prompt of {max(sizes)} {unit}; the limit "
            f"is {limit} in all. Ask for fewer answers.",
            param=param,
        )
