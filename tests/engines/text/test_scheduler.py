"""The scheduler's guarantees, each on a small case."""

import itertools

from homeport.engines.text.executor import ExecutorTraits
from tests.engines.text.simulation import Ask, Simulation, alone, traits


def _prompt(length: int, salt: int = 0) -> list[int]:
    return [(7 * index + salt * 13 + index * index) % 250 for index in range(length)]


def test_a_step_takes_every_decoding_candidate_and_a_bounded_slice_of_prefill() -> None:
    """With two streams, a long prompt is computed in slices of 16 tokens, and both streams advance in every step."""
    simulation = Simulation(traits(), prefill_slice=16)
    simulation.ask(Ask([_prompt(4, 1)], length=40))
    simulation.ask(Ask([_prompt(4, 2)], length=40))
    simulation.step()
    simulation.ask(Ask([_prompt(100, 3)], length=2))
    sizes = [[part.stop - part.start for part in simulation.step().slices] for _ in range(6)]
    assert sizes == [[1, 1, 16]] * 6


def test_prefill_fills_the_batch_without_streams() -> None:
    """Several prompts that arrive at an idle engine are computed in one step, up to the batch size."""
    simulation = Simulation(traits(batch=64), prefill_slice=8)
    for salt in range(3):
        simulation.ask(Ask([_prompt(30, salt)]))
    assert [part.stop - part.start for part in simulation.step().slices] == [30, 30, 4]


def test_a_prefix_of_concurrent_requests_is_computed_once() -> None:
    """Of eight requests that share 60 tokens, the first computes them and the seven that waited fork them."""
    simulation = Simulation(traits(cells=2000))
    shared = _prompt(60)
    requests = [simulation.ask(Ask([[*shared, 200 + index]], length=3)) for index in range(8)]
    simulation.run()
    simulation.check_answers()
    assert [request.cached for request in requests] == [0] + [60] * 7
    assert simulation.executor.computed == 60 + 8 * (1 + 2)


def test_candidates_share_their_prompt_down_to_its_last_logits() -> None:
    """Four candidates of one prompt start in the same step from one row of logits."""
    simulation = Simulation(traits())
    simulation.ask(Ask([_prompt(30)], candidates=4, length=5))
    simulation.run()
    simulation.check_answers()
    assert simulation.executor.computed == 30 + 4 * 4
    assert simulation.executor.forwards == 5


def test_a_prompt_seen_before_costs_one_token() -> None:
    """Of a fully cached prompt only the last token is computed again, because its logits are needed."""
    simulation = Simulation(traits())
    simulation.ask(Ask([_prompt(50)], length=1))
    simulation.run()
    again = simulation.ask(Ask([_prompt(50)], length=1))
    simulation.run()
    assert (again.cached, simulation.executor.computed) == (49, 51)
    assert simulation.scheduler.counters.prefix_hits == 49
    assert simulation.scheduler.counters.prefix_queries == 100


def test_a_conversation_continues_from_its_answer() -> None:
    """A prompt that continues an earlier answer reuses the answer's tokens too, without another sequence."""
    simulation = Simulation(traits(sequences=1))
    simulation.ask(Ask([_prompt(20)], length=6))
    simulation.run()
    answer = simulation.answers[0, 0, 0]
    turn = simulation.ask(Ask([[*_prompt(20), *answer, 1, 2, 3]], length=2))
    simulation.run()
    assert turn.cached == 25  # the answer's last token was sampled, never computed


def test_prefixes_are_not_shared_across_projects() -> None:
    """A project never reuses or waits for what another project computes."""
    simulation = Simulation(traits(cells=2000))
    shared = _prompt(60)
    requests = [simulation.ask(Ask([shared], project=project)) for project in ("one", "two")]
    simulation.step()
    assert len(simulation.scheduler.running) == 2
    simulation.run()
    requests.append(simulation.ask(Ask([shared], project="three")))
    simulation.run()
    assert [request.cached for request in requests] == [0, 0, 0]


def test_the_youngest_is_preempted_when_cells_run_out() -> None:
    """Of two answers that do not fit together, the older is never delayed, and the younger is recomputed unchanged."""
    simulation = Simulation(traits(cells=60, batch=32))
    simulation.ask(Ask([_prompt(10, 1)], length=40))
    simulation.ask(Ask([_prompt(10, 2)], length=40))
    finished: dict[int, int] = {}
    for step in itertools.count():
        if simulation.scheduler.is_idle:
            break
        simulation.step()
        for key in simulation.answers:
            finished.setdefault(key[0], step)
    simulation.check_answers()
    assert simulation.scheduler.counters.preemptions > 0
    assert finished[0] == 39
    assert finished[1] > finished[0]


def test_a_scored_prompt_is_computed_in_full_and_in_bounded_rows() -> None:
    """Every position of a scored prompt is read, never more than `score_rows` in a step, cached or not."""
    simulation = Simulation(traits(), score_rows=7)
    prompt = _prompt(40)
    simulation.ask(Ask([prompt]))
    simulation.run()
    scored = simulation.ask(Ask([prompt], candidates=3, scores=True))
    widths = []
    while not simulation.scheduler.is_idle:
        widths.append(sum(len(part.rows) for part in simulation.step().slices))
    simulation.check_answers()
    assert max(widths) == 7
    assert scored.cached == 0
    for position in range(len(prompt)):
        expected = simulation.executor.next_logits(prompt[: position + 1])
        assert (simulation.scores[1, 0, position] == expected).all()


def test_scoring_continues_after_preemption() -> None:
    """A scored prompt that is preempted half way is scored completely."""
    simulation = Simulation(traits(cells=80, batch=16), score_rows=4)
    simulation.ask(Ask([_prompt(10, 1)], length=60))
    scored = simulation.ask(Ask([_prompt(30, 2)], length=3, scores=True))
    simulation.run()
    simulation.check_answers()
    assert sorted(position for request, _, position in simulation.scores if request == scored.id) == list(range(30))


def test_a_candidate_without_credit_is_not_stepped() -> None:
    """Credit for three deltas gives three tokens; more credit gives the rest, unchanged."""
    simulation = Simulation(traits())
    request = simulation.ask(Ask([_prompt(10)], length=8, credit=3))
    for _ in range(10):
        simulation.step()
    assert len(request.candidates[0].tokens) == 13
    request.credit += 5
    simulation.run()
    simulation.check_answers()


def test_scarce_credit_is_used_in_turn() -> None:
    """Four running candidates advance in turn if credit arrives two deltas at a time."""
    simulation = Simulation(traits())
    request = simulation.ask(Ask([_prompt(10)], candidates=4, length=6, credit=4))
    while not simulation.scheduler.is_idle:
        simulation.step()
        if not request.credit:
            request.credit = 2
            lengths = [len(one.tokens) for one in request.candidates]
            assert max(lengths) - min(lengths) <= 2
    simulation.check_answers()


def test_credit_for_one_goes_to_a_candidate_that_has_room() -> None:
    """With one delta of credit and no free cell, the older candidate advances although it is the younger's turn."""
    simulation = Simulation(traits(cells=25, sequences=2, shares_cells=False))
    request = simulation.ask(Ask([_prompt(4, 1), _prompt(4, 2)], length=18, credit=2))
    for _ in range(200):
        if simulation.scheduler.is_idle:
            break
        simulation.step()  # a standstill would be called a bug
        request.credit = max(request.credit, 1)
    assert simulation.scheduler.is_idle
    simulation.check_answers()


def test_stalled_candidates_make_room_for_others() -> None:
    """A candidate without credit holds no sequence that another one needs."""
    simulation = Simulation(traits(sequences=1))
    stalled = simulation.ask(Ask([_prompt(10, 1)], length=8, credit=2))
    for _ in range(4):
        simulation.step()
    simulation.ask(Ask([_prompt(10, 2)], length=5))
    for _ in range(6):
        simulation.step()
    assert (1, 0, 0) in simulation.answers
    stalled.credit = 100
    simulation.run()
    simulation.check_answers()


def test_many_prompts_of_one_project_delay_another_by_one_turn() -> None:
    """Another project's request is served long before a hundred prompts that arrived first."""
    simulation = Simulation(traits(sequences=2))
    simulation.ask(Ask([_prompt(5, salt) for salt in range(100)], length=2, project="flood"))
    simulation.step()
    newcomer = simulation.ask(Ask([_prompt(5, 500)], length=2, project="calm"))
    for _ in range(6):
        simulation.step()
    assert (newcomer.id, 0, 0) in simulation.answers
    assert len(simulation.answers) < 12


def test_removal_frees_everything_in_any_phase() -> None:
    """Canceled while waiting, in prefill or while decoding, a request leaves no cell in use."""
    for steps in range(8):
        simulation = Simulation(traits(sequences=2, batch=16), retain=0)
        requests = [simulation.ask(Ask([_prompt(40, salt)], candidates=2, length=9)) for salt in range(3)]
        for _ in range(steps):
            simulation.step()
        for request in requests:
            simulation.scheduler.remove(request)
        assert simulation.scheduler.is_idle
        assert simulation.executor.cells_used == 0
        simulation.scheduler.check_integrity()


def test_a_failed_step_ends_its_requests_and_spares_the_others() -> None:
    """The requests of the failed batch are dropped with their KV; a waiting one is served afterwards."""
    simulation = Simulation(traits(sequences=2))
    doomed = [simulation.ask(Ask([_prompt(10, salt)], candidates=2)) for salt in range(1)]
    spared = simulation.ask(Ask([_prompt(10, 9)], credit=0))
    plan = simulation.scheduler.plan()
    failed = simulation.scheduler.fail(plan)
    assert [request.id for request in failed] == [request.id for request in doomed]
    assert simulation.cache.cells == 0
    spared.credit = 100
    simulation.run()
    simulation.check_answers()


def test_retention_is_bounded_and_evicts_the_least_recently_used() -> None:
    """With 50 cells to retain, of two prompts of 40 tokens the later one is retained."""
    simulation = Simulation(traits(), retain=50)
    for salt in (1, 2):
        simulation.ask(Ask([_prompt(40, salt)], length=1))
        simulation.run()
    assert simulation.cache.cells == 40
    later, earlier = (simulation.ask(Ask([_prompt(40, salt)], length=1)) for salt in (2, 1))
    simulation.run()
    assert (later.cached, earlier.cached) == (39, 0)


def test_an_executor_that_cannot_trim_only_continues_whole_sequences() -> None:
    """Without fork and trim, a conversation is continued in place and everything else is computed again."""
    simulation = Simulation(traits(can_trim=False))
    simulation.ask(Ask([_prompt(20)], candidates=2, length=4))
    simulation.run()
    simulation.check_answers()
    assert simulation.executor.computed == 2 * (20 + 3)
    answer = simulation.answers[0, 0, 0]
    turn = simulation.ask(Ask([[*_prompt(20), *answer, 9]], length=2))
    other = simulation.ask(Ask([[*_prompt(20)[:10], 8]], length=2))
    simulation.run()
    simulation.check_answers()
    assert (turn.cached, other.cached) == (23, 0)


def test_copies_cost_cells_where_cells_are_not_shared() -> None:
    """With KV streams, four candidates hold their prompt four times, and all fit."""
    executor: ExecutorTraits = traits(shares_cells=False, cells=200)
    simulation = Simulation(executor)
    simulation.ask(Ask([_prompt(30)], candidates=4, length=5))
    simulation.step()
    assert simulation.cache.running_cells == 120
    simulation.run()
    simulation.check_answers()
    assert simulation.answers[0, 0, 3] == alone(simulation.executor, _prompt(30), 3, 5)


def test_what_a_twin_computes_does_not_count_as_cached() -> None:
    """A prompt that waits for another's prefix is started by its first candidate, so its cached tokens are right."""
    shared = list(range(17))
    simulation = Simulation(traits(window=48, cells=1_000, sequences=16), prefill_slice=16)
    asks = [
        Ask([shared], length=1, scores=True),
        Ask([list(range(100, 122))], length=1, project="other"),
        Ask([[0, 200], [*shared, 201]], candidates=2, length=1),
        Ask([list(range(50, 74))], length=1, project="other"),
    ]
    for ask in asks:
        simulation.ask(ask)
    simulation.run()
    prompts = sum(len(prompt) for ask in asks for prompt in ask.prompts)
    assert simulation.executor.computed + sum(request.cached for request in simulation.requests.values()) == prompts


def test_a_prompt_beyond_the_retention_limit_is_retained_in_part() -> None:
    """Of a conversation longer than the retention limit, the next turn finds as much as the limit."""
    simulation = Simulation(traits(cells=1_000), retain=120)
    for expected in (0, 120):
        request = simulation.ask(Ask([[7] * 300], length=1))
        simulation.run()
        assert request.cached == expected
        assert simulation.cache.cells == 120


def test_the_oldest_and_largest_is_evicted_before_several_small_ones() -> None:
    """One large old prompt is evicted before several small newer ones."""
    simulation = Simulation(traits(cells=1_000), retain=120)
    small = [list(range(100, 120)), [9] * 25, [8] * 15]
    for prompt in (list(range(60)), *small, [5] * 40):
        simulation.ask(Ask([prompt], length=1))
        simulation.run()
    repeated = [simulation.ask(Ask([prompt], length=1)) for prompt in small]
    simulation.run()
    assert [request.cached for request in repeated] == [19, 24, 14]


def test_the_largest_of_the_older_half_is_evicted() -> None:
    """If cells are needed, the larger of the two older of four retained prompts is evicted, and no other."""
    simulation = Simulation(traits(cells=200, sequences=8))
    prompts = [[1] * 20, [2] * 80, [3] * 60, [4] * 20]
    for prompt in prompts:
        simulation.ask(Ask([prompt], length=1))
        simulation.run()
    simulation.ask(Ask([[5] * 50], length=1))
    simulation.run()
    found = [simulation.cache.match(("", "local"), prompt, len(prompt)) for prompt in prompts]
    assert [match.length if match else 0 for match in found] == [20, 0, 60, 20]
