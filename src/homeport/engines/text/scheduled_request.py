"""What the scheduler knows of a request: the token ids of its candidates, and its credit. No text, no sampling."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from homeport.engines.text.assertions import require_value
from homeport.engines.text.executor import MediaRun
from homeport.engines.text.media.blocks import PlacedBlock
from homeport.engines.text.prompt_lookup import PromptLookup


@dataclass(eq=False, slots=True)
class ScheduledRequest:
    """One request in the scheduler. `credit`: deltas it may still emit; `streams`: every token may cost one.

    Prefixes are shared within `namespace` only; requests of one `fair_share_key` share one place in the fair queue.
    `cached` counts prompt tokens that were not computed, each prompt once. `adapter` names the adapter to compute with
    (empty: none). `background`: no caller waits for it. `quota`: tokens its candidates may still sample together; None:
    no limit. `drafted` and `accepted` count the draft tokens that were computed, and those of them that were sampled.
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
    drafted: int = 0
    accepted: int = 0
    planned_rows: int = 0  # rows of the current step, each of which may become a delta or use one token of the quota
    candidates: "list[Candidate]" = field(default_factory=list)
    leaders: "dict[int, Candidate]" = field(default_factory=dict)  # by prompt

    @property
    def may_step(self) -> bool:
        """Whether one more row of this request may be computed in this step."""
        if self.quota is not None and self.quota <= self.planned_rows:
            return False
        return self.credit > (self.planned_rows if self.streams else 0)

    def add_candidate(
        self,
        prompt: int,
        tokens: Sequence[int],
        *,
        scores: bool = False,
        samples: bool = True,
        media: Sequence[PlacedBlock] = (),
    ) -> "Candidate":
        """Add a candidate for a prompt. The first of each prompt is its leader: only it scores the prompt."""
        leader = self.leaders.get(prompt)
        scores = scores and leader is None
        one = Candidate(
            self, prompt, list(tokens), len(tokens), leader, scores_prompt=scores, samples=samples, media=media
        )
        self.leaders.setdefault(prompt, one)
        self.candidates.append(one)
        return one


@dataclass(eq=False, slots=True)
class Candidate:
    """One unfinished answer. `tokens`: the prompt and all tokens sampled; the first `computed` are in `slot`'s KV.

    `leader` is the first candidate of the same prompt, None for that one itself. `scores_prompt`: the logits of every
    prompt position are needed; `scored` positions are done. `samples` False: nothing else is needed. `lookup` drafts
    its next tokens; `forced` are those that certainly come next, where they are not appended to `tokens` at once.
    `media`: the blocks of embeddings in the prompt, by place.
    """

    request: ScheduledRequest
    prompt: int
    tokens: list[int]
    prompt_length: int
    leader: "Candidate | None"
    scores_prompt: bool = False
    samples: bool = True
    scored: int = 0
    slot: int | None = None
    computed: int = 0
    arrival: int = 0  # number; smaller is older
    due: int = 0  # value of its flow's clock by which its prompt should be computed
    last_step: int = 0  # number of the last step that computed it
    is_waiting: bool = False  # whether it is in the waiting queue
    started: bool = False
    awaited: "Candidate | None" = None  # the candidate that computes a prefix this one needs too …
    awaited_length: int = 0  # … and that prefix's length
    lookup: PromptLookup | None = None
    forced: tuple[int, ...] = ()
    media: Sequence[PlacedBlock] = ()

    @property
    def pending(self) -> int:
        """Tokens to compute before the next one can be sampled."""
        return len(self.tokens) - self.computed

    @property
    def is_answering(self) -> bool:
        """Whether its prompt is computed."""
        return self.computed >= self.prompt_length

    @property
    def is_scoring(self) -> bool:
        """Whether prompt positions are still to be scored."""
        return self.scores_prompt and self.scored < self.prompt_length

    @property
    def reusable(self) -> int:
        """Tokens that may come from the cache: not the last one, whose logits are needed, and none yet to be scored."""
        return self.scored if self.is_scoring else len(self.tokens) - 1

    def is_twin(self, other: "Candidate") -> bool:
        """Return whether both answer the same prompt of the same request."""
        return self.request is other.request and self.prompt == other.prompt

    def rows(self, start: int, stop: int) -> range:
        """Return the positions of `start`..`stop` whose logits are read."""
        if self.is_scoring:
            # The last prompt token's logits score no prompt token: they are read only to sample from.
            return range(start, stop if self.samples else min(stop, self.prompt_length - 1))
        ends = stop == len(self.tokens) and self.samples
        return range(stop - 1, stop) if ends else range(0)

    def whole_blocks(self, n_tokens: int) -> int:
        """Return how many pending tokens to compute in one step, about `n_tokens`: blocks are not cut if not causal.

        Less, or, if the first block is larger, more.
        """
        stop = self.computed + n_tokens
        for start, block in self.media:
            end = start + len(block.ids)
            if not block.is_causal and start < stop < end:
                stop = start if start > self.computed else end
        return stop - self.computed

    def media_runs(self, start: int, stop: int, shift: int) -> Iterator[MediaRun]:
        """Yield the embeddings among the tokens `start`..`stop`; `shift`: from a token's place to its batch index."""
        for placed in self.media:
            first, last = max(start, placed.start), min(stop, placed.stop)
            if first < last:
                part = slice(first - placed.start, last - placed.start)
                block = placed.block
                rows = require_value(block.rows, "a block of media was not encoded")[part]
                grid = None if block.grid is None else block.grid[part]
                is_last = last == placed.stop
                yield MediaRun(first + shift, rows, part.start, block.n_positions, is_last, block.is_causal, grid)

    def will_reach(self, length: int) -> bool:
        """Return whether it is running, has credit, and has yet to compute `length` tokens."""
        return self.slot is not None and self.request.credit > 0 and self.computed < length
