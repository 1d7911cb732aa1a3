"""A replica: slots with streams, one prompt at a time in chunks, and a queue. Its time passes in whole steps."""

import math
from collections import deque

from bench.cluster_sim.costs import BLOCK, CACHE_BLOCKS, CHUNK, SLOTS, StepCosts
from bench.cluster_sim.prefix_cache import PrefixCache
from bench.cluster_sim.traffic import Request


class Replica:
    """One replica. `now_s`: the end of its last step. It knows nothing of others."""

    def __init__(self, costs: StepCosts) -> None:
        self._costs = costs
        self.cache = PrefixCache(CACHE_BLOCKS)
        self.queue: deque[Request] = deque()
        self.prompts: deque[Request] = deque()
        self.streams: list[Request] = []
        self.now_s = 0.0
        self.version = 0
        """Counts changes of what comes next, so that outdated events can be told."""
        self.is_alive = True

    @property
    def ongoing(self) -> int:
        """The requests that it has."""
        return len(self.queue) + len(self.prompts) + len(self.streams)

    def submit(self, request: Request, at_s: float) -> None:
        """Accept a request."""
        if not self.ongoing:
            self.now_s = at_s
        self.queue.append(request)
        self._fill(at_s)

    def fail(self) -> list[Request]:
        """Lose everything, and return the requests that were not answered completely."""
        lost = [*self.streams, *self.prompts, *self.queue]
        self.streams, self.prompts, self.queue = [], deque(), deque()
        self.cache.clear()
        self.is_alive = False
        return lost

    def next_event_s(self) -> float:
        """Return when the next prompt or stream ends; infinite if there is none."""
        steps, step_s = self._uniform_steps()
        return self.now_s + steps * step_s if steps else math.inf

    def advance(self, until_s: float) -> list[Request]:
        """Pass the whole steps that begin before `until_s`, and return the requests whose answers are complete."""
        done: list[Request] = []
        while self.ongoing and self.now_s < until_s:
            steps, step_s = self._uniform_steps()
            steps = min(steps, math.ceil((until_s - self.now_s) / step_s))
            self._pass(max(steps, 1), step_s, done)
        return done

    def _uniform_steps(self) -> tuple[int, float]:
        """Return how many steps pass until something ends, and what each of them takes."""
        chunk = min(CHUNK, self.prompts[0].prompt_remaining) if self.prompts else 0
        step_s = self._costs.step_s(len(self.streams), chunk)
        if self.prompts:
            steps = max(self.prompts[0].prompt_remaining // CHUNK, 1)
            return min([steps, *(each.remaining for each in self.streams)]), step_s
        return min((each.remaining for each in self.streams), default=0), step_s

    def _pass(self, steps: int, step_s: float, done: list[Request]) -> None:
        self.now_s += steps * step_s
        for stream in self.streams:
            stream.remaining -= steps
        done += [each for each in self.streams if each.remaining <= 0]
        for each in done:
            self.cache.use(each.session.blocks)
        self.streams = [each for each in self.streams if each.remaining > 0]
        if self.prompts:
            first = self.prompts[0]
            first.prompt_remaining -= steps * CHUNK
            if first.prompt_remaining <= 0:
                self.prompts.popleft()
                self.cache.use(first.blocks)
                first.first_token_s = self.now_s
                first.remaining = first.output_tokens
                self.streams.append(first)
        self._fill(self.now_s)

    def _fill(self, at_s: float) -> None:
        while self.queue and len(self.prompts) + len(self.streams) < SLOTS:
            request = self.queue.popleft()
            request.started_s = max(at_s, self.now_s)
            request.cached_blocks = min(self.cache.leading(request.blocks), len(request.blocks) - 1)
            request.prompt_remaining = (len(request.blocks) - request.cached_blocks) * BLOCK
            self.prompts.append(request)
