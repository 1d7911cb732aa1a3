"""What one step computes, and which row of its logits belongs to which candidate. Plain values, no policy."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from homeport.engines.text.assertions import require_value
from homeport.engines.text.executor import MediaRun, TokenBatch
from homeport.engines.text.scheduled_request import Candidate


@dataclass(frozen=True, slots=True)
class StepSlice:
    """Tokens `start`..`stop` of a candidate, computed in this step; `rows`: the positions whose logits are read.

    `draft`: tokens computed after them because they may come next, or (`is_forced`) because they certainly do.
    """

    candidate: Candidate
    start: int
    stop: int
    rows: range
    draft: tuple[int, ...] = ()
    is_forced: bool = False


@dataclass(slots=True)
class StepPlan:
    """One step. `prefill` and `rows` are what is left of the budgets while the plan is built.

    `decode` counts the streams, `drafted` the tokens of their drafts, `prompt` all others: those of prompts, and those
    of streams that were appended without having been sampled.
    """

    prefill: int
    rows: int
    decode: int = 0
    drafted: int = 0
    prompt: int = 0
    slices: list[StepSlice] = field(default_factory=list)
    planned: set[int] = field(default_factory=set)  # slots in `slices`

    def arrange(self, adapter: str) -> str:
        """Sort slices into the order of computing, those of `adapter` first; return the last one's adapter.

        Executors compute sequences of adjacent ids together, and changing the adapter costs them some milliseconds.
        """

        def rank(part: StepSlice) -> tuple[bool, str, int]:
            own = part.candidate.request.adapter
            return own != adapter, own, require_value(part.candidate.slot, "a planned candidate holds no sequence")

        self.slices.sort(key=rank)
        return self.slices[-1].candidate.request.adapter if self.slices else adapter

    def token_batches(self) -> list[TokenBatch]:
        """Return the slices' tokens as one batch per adapter; `logits_indices` in the order of the slices."""
        parts = groupby(self.slices, lambda part: part.candidate.request.adapter)
        return [_token_batch(adapter, slices) for adapter, slices in parts]


@dataclass(frozen=True, slots=True)
class LogitsRow:
    """Row `index` of the step's logits predicts a candidate's next token.

    Each following row predicts the token after one more token of `draft`, if the tokens sampled so far agree with it.
    `is_forced`: they certainly do, so it is no speculation.
    """

    index: int
    candidate: Candidate
    draft: tuple[int, ...] = ()
    is_forced: bool = False


def _token_batch(adapter: str, slices: Iterable[StepSlice]) -> TokenBatch:
    """Return the tokens of slices (N int32 each), grouped by sequence; `logits_indices` (M) in their order."""
    tokens: list[int] = []
    positions: list[int] = []
    sequences: list[int] = []
    wanted: list[int] = []
    media: list[MediaRun] = []
    for part in slices:
        shift = len(tokens) - part.start
        wanted.extend(position + shift for position in part.rows)
        tokens.extend(part.candidate.tokens[part.start : part.stop])
        tokens.extend(part.draft)
        media.extend(part.candidate.media_runs(part.start, part.stop, shift))
        stop = part.stop + len(part.draft)
        positions.extend(range(part.start, stop))
        sequence = require_value(part.candidate.slot, "a planned candidate holds no sequence")
        sequences.extend([sequence] * (stop - part.start))
    return TokenBatch(
        np.array(tokens, dtype=np.int32),
        np.array(positions, dtype=np.int32),
        np.array(sequences, dtype=np.int32),
        np.array(wanted, dtype=np.int32),
        adapter,
        tuple(media),
    )
