"""The simulation: sessions arrive, a policy chooses replicas for requests, and the clock jumps from event to event.

Several gateways choose independently. Each knows its own requests exactly, and those of the others as replicas last
reported them.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from bench.cluster_sim.costs import StepCosts
from bench.cluster_sim.replica import Replica
from bench.cluster_sim.traffic import Request, Traffic, session_rate

REPORT_S = 0.1
"""How often replicas report their requests to the gateways."""
RETRY_S = 1.0
"""After which a gateway knows that a replica has failed, and sends its requests elsewhere."""
GATEWAYS = 3


class View(Protocol):
    """What a gateway knows."""

    @property
    def alive(self) -> Sequence[int]:
        """The replicas that it may choose, in a fixed order."""

    def load(self, replica: int) -> int:
        """The requests that a replica has, as far as this gateway knows."""


class Policy(Protocol):
    """Chooses a replica. One instance is one gateway's. It may keep what it learns from its own choices."""

    def choose(self, request: Request, view: View, /) -> int:
        """Return one of `view.alive`."""


class Scenario(NamedTuple):
    """What happens. `fail_at_s`, `failing`: when how many replicas fail; `added`: how many are added at that moment."""

    replicas: int
    load: float
    duration_s: float
    seed: int
    fail_at_s: float = math.inf
    failing: int = 0
    added: int = 0


class GatewayView:
    """One gateway's view."""

    def __init__(self, count: int) -> None:
        self.alive: list[int] = list(range(count))
        self.reported = [0] * count
        self.since = [0] * count
        """What this gateway sent, less what was answered, since the last report."""

    def load(self, replica: int) -> int:
        """Return what is known of a replica's requests."""
        return max(self.reported[replica] + self.since[replica], 0)

    def add(self) -> None:
        """Add a replica."""
        self.alive.append(len(self.reported))
        self.reported.append(0)
        self.since.append(0)


class Simulation:
    """One run of a scenario with one policy for each gateway."""

    def __init__(self, scenario: Scenario, make_policy: Callable[[], Policy], costs: StepCosts | None = None) -> None:
        self._scenario = scenario
        self._costs = costs or StepCosts()
        self._replicas = [Replica(self._costs) for _ in range(scenario.replicas)]
        self._views = [GatewayView(scenario.replicas) for _ in range(GATEWAYS)]
        self._policies = [make_policy() for _ in range(GATEWAYS)]
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._waiting = 0
        self.finished: list[Request] = []

    def run(self) -> list[Request]:
        """Run it until all requests that arrive within the duration are answered, and return them."""
        scenario = self._scenario
        traffic = Traffic(scenario.seed, scenario.replicas, session_rate(scenario.replicas, scenario.load, self._costs))
        for at_s, session in traffic.sessions(scenario.duration_s):
            request = session.next_request(at_s)
            if request is not None:
                self._schedule(at_s, partial(self._arrive, request))
        self._schedule(0.0, self._report)
        if scenario.fail_at_s < math.inf:
            self._schedule(scenario.fail_at_s, self._change)
        while self._events:
            at_s, _, event = heapq.heappop(self._events)
            event(at_s)
        return self.finished

    def _schedule(self, at_s: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at_s, next(self._order), event))

    def _arrive(self, request: Request, now_s: float) -> None:
        # A session's requests may come through any gateway, as those of clients without sticky connections do.
        number = (request.arrived_s.__hash__() + request.attempts) % GATEWAYS
        view = self._views[number]
        chosen = self._policies[number].choose(request, view)
        request.attempts += 1
        request.gateway = number
        replica = self._replicas[chosen]
        if not replica.is_alive:  # the gateway does not know it yet
            self._schedule(now_s + RETRY_S, partial(self._arrive, request))
            return
        view.since[chosen] += 1
        self._finish(chosen, replica.advance(now_s))
        replica.submit(request, now_s)
        self._wake(chosen)

    def _wake(self, number: int) -> None:
        replica = self._replicas[number]
        replica.version += 1
        at_s, version = replica.next_event_s(), replica.version
        if at_s < math.inf:
            self._schedule(at_s, partial(self._continue, number, version))

    def _continue(self, number: int, version: int, now_s: float) -> None:
        replica = self._replicas[number]
        if replica.version == version and replica.is_alive:
            self._finish(number, replica.advance(now_s))
            self._wake(number)

    def _finish(self, number: int, requests: Sequence[Request]) -> None:
        for request in requests:
            self.finished.append(request)
            self._views[request.gateway].since[number] -= 1
            ended_s = self._replicas[number].now_s
            follower = request.session.next_request(ended_s + request.session.think_s())
            if follower is not None and follower.arrived_s < self._scenario.duration_s:
                self._schedule(follower.arrived_s, partial(self._arrive, follower))

    def _report(self, now_s: float) -> None:
        for view in self._views:
            for number in view.alive:
                view.reported[number] = self._replicas[number].ongoing
                view.since[number] = 0
        if self._events:
            self._schedule(now_s + REPORT_S, self._report)

    def _change(self, now_s: float) -> None:
        """Let replicas fail, and add others."""
        failed = range(self._scenario.failing)
        for number in failed:
            for request in self._replicas[number].fail():
                self._schedule(now_s + RETRY_S, partial(self._arrive, request))
        self._schedule(now_s + RETRY_S, lambda _: self._forget(failed))
        for _ in range(self._scenario.added):
            self._replicas.append(Replica(self._costs))
            for view in self._views:
                view.add()

    def _forget(self, failed: Sequence[int]) -> None:
        for view in self._views:
            view.alive = [number for number in view.alive if number not in failed]
