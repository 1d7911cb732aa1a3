"""What one step computes, and whose next token each row of its logits says. Plain values, no policy."""

from dataclasses import dataclass, field

from homeport.engines.text.invariant import require_value
from homeport.engines.text.scheduled_request import Candidate


@dataclass(frozen=True, slots=True)
class StepSlice:
    """Tokens `start`..`stop` of a candidate, computed in this step; `rows`: the positions whose logits are read.

    `draft`: tokens computed behind them on the guess that these come next.
    """

    candidate: Candidate
    start: int
    stop: int
    rows: range
    draft: tuple[int, ...] = ()


@dataclass(slots=True)
class StepPlan:
    """One step. `prefill` and `rows` are what is left of the budgets while the plan is made.

    `decode`, `drafted` and `prompt`: tokens it takes on for streams, on a guess of what these draw, and of prompts.
    """

    prefill: int
    rows: int
    decode: int = 0
    drafted: int = 0
    prompt: int = 0
    slices: list[StepSlice] = field(default_factory=list)
    planned: set[int] = field(default_factory=set)  # sequence ids in `slices`

    def arrange(self, adapter: str) -> str:
        """Put slices in the order in which they are computed, those of `adapter` first; give the last one's adapter.

        Executors compute sequences of adjoining ids together, and to change the adapter costs them some milliseconds.
        """

        def place(part: StepSlice) -> tuple[bool, str, int]:
            own = part.candidate.group.adapter
            return own != adapter, own, require_value(part.candidate.slot, "a planned candidate holds no sequence")

        self.slices.sort(key=place)
        return self.slices[-1].candidate.group.adapter if self.slices else adapter


@dataclass(frozen=True, slots=True)
class LogitsRow:
    """Row `index` of the step's logits says what comes next for a candidate.

    Each row behind it says what comes after one more token of `draft`, if the draws so far agree with it.
    """

    index: int
    candidate: Candidate
    draft: tuple[int, ...] = ()
