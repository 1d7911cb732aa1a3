"""For any traffic and any memory: counts are right, every request is served, tokens are as alone."""

from dataclasses import dataclass

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.engines.text.executor import ExecutorTraits
from homeport.engines.text.media.blocks import media_ids
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import ADAPTERS, Ask, Simulation, alone, end_of_media, traits

CELLS = 48  # the smallest cache generated below
TRUNKS = tuple([(17 * trunk + index * (trunk + 3)) % 250 for index in range(40)] for trunk in range(3))
TRUNKS[1][4:11], TRUNKS[1][14:19] = media_ids(b"one", 7), media_ids(b"two", 5)


@dataclass(frozen=True)
class Arrival:
    """An arrival after `pause` steps; the request is canceled `canceled_after` further steps, if not None."""

    pause: int
    ask: Ask
    canceled_after: int | None
    stalls: bool


@st.composite
def prompts(draw: st.DrawFn) -> list[int]:
    """Generate up to 24 tokens of one of three trunks, of which one has media, then a few others."""
    trunk = draw(st.sampled_from(TRUNKS))
    own = draw(st.lists(st.integers(0, 249), min_size=0, max_size=6))
    return trunk[: end_of_media(trunk, draw(st.integers(1, 24)))] + own


@st.composite
def sources(draw: st.DrawFn, ask: Ask) -> list[int]:
    """Generate the first candidate's true answer, without adapter, with some tokens changed, deleted or inserted."""
    source = [7, *alone(FakeExecutor(traits()), ask.prompts[0], 0, ask.length)]
    for place in draw(st.lists(st.integers(0, len(source)), max_size=3)):
        source[place : place + draw(st.integers(0, 2))] = draw(st.lists(st.integers(0, 249), max_size=2))
    return source


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    """Generate a request: few prompts, few candidates, any project, with or without scores, credit and cancellation."""
    ask = Ask(
        prompts=draw(st.lists(prompts(), min_size=1, max_size=3)),
        candidates=draw(st.integers(1, 3)),
        length=draw(st.integers(1, 12)),
        project=draw(st.sampled_from(("one", "two"))),
        adapter=draw(st.sampled_from(("", *ADAPTERS))),
        scores=draw(st.booleans()),
        credit=draw(st.sampled_from((0, 2, 1_000))),
        forced=draw(st.sampled_from((0, 0, 1, 5))),
    )
    ask.is_causal = ask.scores or draw(st.booleans())
    ask.copies = draw(st.none() | st.just([]) | sources(ask))
    canceled = draw(st.none() | st.integers(0, 12))
    return Arrival(draw(st.integers(0, 4)), ask, canceled, stalls=ask.credit < 1_000)


@st.composite
def executors(draw: st.DrawFn) -> ExecutorTraits:
    """Generate traits: small or large, shared or copied cells, with or without trimming, enough for any one request."""
    made = traits(
        window=CELLS,
        cells=draw(st.sampled_from((CELLS, 80, 400))),
        sequences=draw(st.integers(1, 6)),
        batch=draw(st.sampled_from((3, 8, 64))),
        shares_cells=draw(st.booleans()),
        can_trim=draw(st.booleans()),
    )
    return msgspec.structs.replace(made, cuts_media=draw(st.booleans()))


def _play(simulation: Simulation, scenario: list[Arrival]) -> set[int]:
    """Play a scenario, adding credit in small amounts; return the ids that were canceled."""
    due: list[tuple[int, int]] = []
    canceled: set[int] = set()
    clock = 0
    for arrival in scenario:
        for _ in range(arrival.pause):
            simulation.step()
        clock += arrival.pause
        request = simulation.ask(arrival.ask)
        if arrival.canceled_after is not None:
            due.append((clock + arrival.canceled_after, request.id))
    for round_ in range(20_000):
        for when, identity in due:
            if when <= clock and identity not in canceled:
                simulation.scheduler.remove(simulation.requests[identity])
                canceled.add(identity)
        if simulation.scheduler.is_idle:
            break
        if round_ % 5 == 0:  # readers catch up now and then
            for request in simulation.requests.values():
                request.credit = max(request.credit, 2)
        simulation.step()
        clock += 1
    assert simulation.scheduler.is_idle, "a request starved"
    return canceled


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    executors(), st.lists(arrivals(), min_size=1, max_size=8), st.sampled_from((None, 0, 16, 30)), st.integers(1, 20)
)
def test_any_traffic_is_served_as_if_alone(
    executor: ExecutorTraits, scenario: list[Arrival], retain: int | None, prefill_slice: int
) -> None:
    """Counts are checked in every step.

    All requests that stay are answered completely, with the tokens and scores they get alone.
    """
    simulation = Simulation(executor, prefill_slice=prefill_slice, score_rows=prefill_slice, retain=retain)
    canceled = _play(simulation, scenario)
    simulation.check_answers()
    for identity, ask in simulation.asks.items():
        if identity in canceled:
            continue
        for prompt, tokens in enumerate(ask.prompts):
            assert all((identity, prompt, candidate) in simulation.answers for candidate in range(ask.candidates))
            for position in range(len(tokens) if ask.scores else 0):
                expected = simulation.executor.next_logits(tokens[: position + 1], ask.adapter)
                assert (simulation.scores[identity, prompt, position] == expected).all()
    assert simulation.cache.running_cells == 0
    assert retain is None or simulation.cache.cells <= retain


@settings(max_examples=40, deadline=None)
@given(st.lists(arrivals(), min_size=1, max_size=8))
def test_cached_tokens_are_those_not_computed(scenario: list[Arrival]) -> None:
    """With room for all, computed plus cached tokens, less rejected drafts, are prompts and answers, prompts once."""
    roomy = traits(window=CELLS, cells=10_000, sequences=256, batch=64)
    simulation = Simulation(roomy, prefill_slice=16)
    asks = [arrival.ask for arrival in scenario]
    for ask in asks:
        ask.credit, ask.forced = 1_000, 0
        simulation.ask(ask)
    simulation.run()
    cached = sum(request.cached for request in simulation.requests.values())
    prompt_tokens = sum(len(prompt) for ask in asks for prompt in ask.prompts)
    drawn_tokens = sum(len(ask.prompts) * ask.candidates * (ask.length - 1) for ask in asks)  # the last is not fed
    counters = simulation.scheduler.counters
    computed = simulation.executor.computed - (counters.drafted - counters.accepted)
    assert computed + cached == prompt_tokens + drawn_tokens


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(prompts(), st.sampled_from(("one", "two")), st.sampled_from(("", *ADAPTERS))), min_size=2))
def test_nothing_is_reused_across_projects_or_adapters(requests: list[tuple[list[int], str, str]]) -> None:
    """A request never finds more cached than its project's earlier prompts with the same adapter."""
    simulation = Simulation(traits(cells=10_000, sequences=64))
    seen: dict[tuple[str, str], list[list[int]]] = {}
    for tokens, project, adapter in requests[:12]:
        request = simulation.ask(Ask([tokens], length=2, project=project, adapter=adapter))
        simulation.run()
        earlier = seen.setdefault((project, adapter), [])
        possible = (_shared(tokens, known) for known in earlier)
        assert request.cached == min(len(tokens) - 1, max(possible, default=0))
        earlier.append(tokens + simulation.answers[request.id, 0, 0][:-1])


@settings(max_examples=40, deadline=None)
@given(executors(), st.lists(st.sampled_from(("", *ADAPTERS)), min_size=2, max_size=6))
def test_a_batch_has_one_adapter_and_every_step_serves_all(executor: ExecutorTraits, wanted: list[str]) -> None:
    """Streams of several adapters all advance in each step, each adapter in its own batch."""
    roomy = traits(window=CELLS, cells=1_000, sequences=8, batch=executor.batch * 8, can_trim=executor.can_trim)
    simulation = Simulation(roomy)
    requests = [simulation.ask(Ask([[index, 1, 2]], length=6, adapter=one)) for index, one in enumerate(wanted)]
    while not all(request.candidates[0].tokens[3:] for request in requests):
        simulation.step()
    before, plan = simulation.step().token_batches(), simulation.step()
    batches = plan.token_batches()
    assert sorted(batch.adapter for batch in batches) == sorted(set(wanted))
    assert batches[0].adapter == before[-1].adapter  # a change that need not be is none
    running = {one.slot: one.request.adapter for one in simulation.scheduler.running}
    for batch in batches:
        assert {running[slot] for slot in batch.sequences.tolist() if slot in running} <= {batch.adapter}
    assert len(plan.slices) == len(wanted)


def _shared(left: list[int], right: list[int]) -> int:
    return next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
