"""What the scheduler knows of a request: its candidates as runs of token ids, and its credit. No text, no sampling."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from homeport.engines.text.prompt_lookup import PromptLookup


@dataclass(eq=False, slots=True)
class ScheduledRequest:
    """One request in the scheduler. `credit`: deltas it may still emit; `streams`: every token may cost one.

    Prefixes are shared within `namespace` only; `flow` is whose turn in the queue it takes. `cached` counts the
    prompt tokens that were not computed, each prompt once. `adapter` changes the model for it (empty: none does).
    Nobody waits for one in the `background`. `quota`: tokens its candidates may still draw together; None: no limit.
    """

    id: int
    namespace: Hashable
    fair_share_key: Hashable
    credit: int
    streams: bool = True
    background: bool = False
    adapter: str = ""
    quota: int | None = None
    cached: int = 0
    planned_rows: int = 0  # rows of the step under way that may each become a delta, or use up a token of the quota
    candidates: "list[Candidate]" = field(default_factory=list)
    leaders: "dict[int, Candidate]" = field(default_factory=dict)  # by prompt

    @property
    def may_step(self) -> bool:
        """Whether one more row of this request may be computed now."""
        if self.quota is not None and self.quota <= self.planned_rows:
            return False
        return self.credit > (self.planned_rows if self.streams else 0)

    def add_candidate(
        self, prompt: int, tokens: Sequence[int], *, scores: bool = False, samples: bool = True
    ) -> "Candidate":
        """Add a candidate for a prompt. The first of each prompt leads: it alone has the prompt scored."""
        leader = self.leaders.get(prompt)
        scores = scores and leader is None
        one = Candidate(self, prompt, list(tokens), len(tokens), leader, scores_prompt=scores, samples=samples)
        self.leaders.setdefault(prompt, one)
        self.candidates.append(one)
        return one


@dataclass(eq=False, slots=True)
class Candidate:
    """One answer in the making. `tokens` is the prompt and all drawn since; the first `computed` are in `slot`'s KV.

    `leader` is the first candidate of the same prompt, None for that one itself. `scores`: every prompt position's
    logits are wanted, of which `scored` were given. `samples` False: only those. `lookup` foretells its answer.
    """

    group: ScheduledRequest
    prompt: int
    tokens: list[int]
    prompt_length: int
    leader: "Candidate | None"
    scores_prompt: bool = False
    samples: bool = True
    scored: int = 0
    slot: int | None = None
    computed: int = 0
    turn: int = 0  # of its arrival; smaller is older
    due: int = 0  # its flow's clock by which its prompt should be computed
    stepped: int = 0  # the step it last took part in
    is_waiting: bool = False  # stands in the waiting list
    started: bool = False
    awaited: "Candidate | None" = None  # computes a prefix this one needs too …
    awaits_length: int = 0  # … of this many tokens
    lookup: PromptLookup | None = None

    @property
    def pending(self) -> int:
        """Tokens to compute before the next can be drawn."""
        return len(self.tokens) - self.computed

    @property
    def is_scoring(self) -> bool:
        """Whether logits of prompt positions are still missing."""
        return self.scores_prompt and self.scored < self.prompt_length

    @property
    def reusable(self) -> int:
        """Tokens that may come from a cache: the last one's logits are needed, and all that is to be scored."""
        return self.scored if self.is_scoring else len(self.tokens) - 1

    def is_twin(self, other: "Candidate") -> bool:
        """Whether both answer the same prompt of the same request."""
        return self.group is other.group and self.prompt == other.prompt

    def rows(self, start: int, stop: int) -> range:
        """The positions of `start`..`stop` whose logits are read."""
        if self.is_scoring:
            # Those of the prompt's last token score nothing of it: they are read to draw from, or not at all.
            return range(start, stop if self.samples else min(stop, self.prompt_length - 1))
        ends = stop == len(self.tokens) and self.samples
        return range(stop - 1, stop) if ends else range(0)

    def will_reach(self, length: int) -> bool:
        """Whether it is on its way to compute so many tokens."""
        return self.slot is not None and self.group.credit > 0 and self.computed < length
