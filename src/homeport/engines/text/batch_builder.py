"""Lay a plan out as the arrays an executor computes. Knows nothing of why these tokens were chosen."""

from collections.abc import Iterable
from itertools import groupby

import numpy as np

from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.invariant import require_value
from homeport.engines.text.step_plan import StepPlan, StepSlice


def assemble(plan: StepPlan) -> list[TokenBatch]:
    """The tokens of a plan's slices, a batch for each adapter among them; `wanted` in the order of the slices."""
    parts = groupby(plan.slices, lambda part: part.candidate.group.adapter)
    return [_batch(adapter, slices) for adapter, slices in parts]


def _batch(adapter: str, slices: Iterable[StepSlice]) -> TokenBatch:
    """The tokens of slices (N int32 each), grouped by sequence; `wanted` (M) in their order."""
    tokens: list[int] = []
    positions: list[int] = []
    sequences: list[int] = []
    wanted: list[int] = []
    for part in slices:
        shift = len(tokens) - part.start
        wanted.extend(position + shift for position in part.rows)
        tokens.extend(part.candidate.tokens[part.start : part.stop])
        tokens.extend(part.draft)
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
    )
