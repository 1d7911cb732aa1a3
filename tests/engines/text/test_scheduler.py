"""The scheduler's promises, each on a case small enough to follow."""

import itertools

from homeport.engines.text.executor import ExecutorTraits
from tests.engines.text.simulation import Ask, Simulation, alone, traits


def _prompt(length: int, salt: int = 0) -> list[int]:
    return [(7 * index + salt * 13 + index * index) % 250 for index in range(length)]


def test_a_step_takes_every_decoding_candidate_and_a_bounded_slice_of_prefill() -> None:
    """Beside two streams, a long prompt enters 16 tokens at a time, and both streams advance in every step."""
    simulation = Simulation(traits(), prefill_slice=16)
    simulation.ask(Ask([_prompt(4, 1)], length=40))
    simulation.ask(Ask([_prompt(4, 2)], length=40))
    simulation.step()
    simulation.ask(Ask([_prompt(100, 3)], length=2))
    sizes = [[part.stop - part.start for part in simulation.step().slices] for _ in range(6)]
    assert sizes == [[1, 1, 16]] * 6


def test_prefill_fills_the_batch_when_nobody_decodes() -> None:
    """Several prompts that arrive at an idle engine are computed in one step, as far as the batch reaches."""
    simulation = Simulation(traits(batch=64), prefill_slice=8)
    for salt in range(3):
        simulation.ask(Ask([_prompt(30, salt)]))
    assert [part.stop - part.start for part in simulation.step().slices] == [30, 30, 4]


def test_a_prefix_needed_by_requests_that_arrive_together_is_computed_once() -> None:
    """Eight requests share 60 tokens: those are computed for the first, and forked by the seven that waited."""
    simulation = Simulation(traits(cells=2000))
    shared = _prompt(60)
    groups = [simulation.ask(Ask([[*shared, 200 + index]], length=3)) for index in range(8)]
    simulation.run()
    simulation.check_answers()
    assert [group.cached for group in groups] == [0] + [60] * 7
    assert simulation.executor.computed == 60 + 8 * (1 + 2)


def test_candidates_share_their_prompt_down_to_its_last_logits() -> None:
    """Four candidates of one prompt start in the same step, off one computed row, at no token's cost."""
    simulation = Simulation(traits())
    simulation.ask(Ask([_prompt(30)], candidates=4, length=5))
    simulation.run()
    simulation.check_answers()
    assert simulation.executor.computed == 30 + 4 * 4
    assert simulation.executor.forwards == 5


def test_a_prompt_seen_before_costs_one_token() -> None:
    """The last token of a fully cached prompt is computed again, since its logits are needed; the rest is not."""
    simulation = Simulation(traits())
    simulation.ask(Ask([_prompt(50)], length=1))
    simulation.run()
    again = simulation.ask(Ask([_prompt(50)], length=1))
    simulation.run()
    assert (again.cached, simulation.executor.computed) == (49, 51)
    assert simulation.scheduler.counters.prefix_hits == 49
    assert simulation.scheduler.counters.prefix_queries == 100


def test_a_conversation_goes_on_from_its_answer() -> None:
    """A prompt that continues an earlier answer reuses the answer's tokens too, without another sequence."""
    simulation = Simulation(traits(sequences=1))
    simulation.ask(Ask([_prompt(20)], length=6))
    simulation.run()
    answer = simulation.answers[0, 0, 0]
    turn = simulation.ask(Ask([[*_prompt(20), *answer, 1, 2, 3]], length=2))
    simulation.run()
    assert turn.cached == 25  # the answer's last token was drawn, never computed


def test_prefixes_are_not_shared_across_projects() -> None:
    """A project never reuses, nor waits for, what another project computes."""
    simulation = Simulation(traits(cells=2000))
    shared = _prompt(60)
    groups = [simulation.ask(Ask([shared], project=project)) for project in ("one", "two")]
    simulation.step()
    assert len(simulation.scheduler.running) == 2
    simulation.run()
    groups.append(simulation.ask(Ask([shared], project="three")))
    simulation.run()
    assert [group.cached for group in groups] == [0, 0, 0]


def test_the_youngest_gives_way_when_cells_run_out() -> None:
    """Two answers that cannot both fit: the older one is never held up, the younger is recomputed unchanged."""
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


def test_scores_go_on_where_preemption_cut_them_off() -> None:
    """A scored prompt that loses its sequence half way is scored completely all the same."""
    simulation = Simulation(traits(cells=80, batch=16), score_rows=4)
    simulation.ask(Ask([_prompt(10, 1)], length=60))
    scored = simulation.ask(Ask([_prompt(30, 2)], length=3, scores=True))
    simulation.run()
    simulation.check_answers()
    assert sorted(position for group, _, position in simulation.scores if group == scored.id) == list(range(30))


def test_a_candidate_without_credit_is_not_stepped() -> None:
    """Credit for three deltas gives three tokens; more credit gives the rest, unchanged."""
    simulation = Simulation(traits())
    group = simulation.ask(Ask([_prompt(10)], length=8, credit=3))
    for _ in range(10):
        simulation.step()
    assert len(group.candidates[0].tokens) == 13
    group.credit += 5
    simulation.run()
    simulation.check_answers()


def test_credit_that_does_not_reach_for_all_candidates_goes_round() -> None:
    """Four candidates that have begun are served by turns when credit comes two deltas at a time."""
    simulation = Simulation(traits())
    group = simulation.ask(Ask([_prompt(10)], candidates=4, length=6, credit=4))
    while not simulation.scheduler.is_idle:
        simulation.step()
        if not group.credit:
            group.credit = 2
            lengths = [len(one.tokens) for one in group.candidates]
            assert max(lengths) - min(lengths) <= 2
    simulation.check_answers()


def test_credit_for_one_goes_to_a_candidate_that_has_room() -> None:
    """With one delta of credit and no free cell, the older candidate steps although it is the younger's turn."""
    simulation = Simulation(traits(cells=25, sequences=2, shares_cells=False))
    group = simulation.ask(Ask([_prompt(4, 1), _prompt(4, 2)], length=18, credit=2))
    for _ in range(200):
        if simulation.scheduler.is_idle:
            break
        simulation.step()  # a standstill would be called a bug
        group.credit = max(group.credit, 1)
    assert simulation.scheduler.is_idle
    simulation.check_answers()


def test_stalled_candidates_make_room_for_others() -> None:
    """A reader that stopped reading holds no sequence that somebody else needs."""
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


def test_a_flood_delays_a_newcomer_by_one_turn() -> None:
    """Another project's request is served long before a thousand prompts that came first."""
    simulation = Simulation(traits(sequences=2))
    simulation.ask(Ask([_prompt(5, salt) for salt in range(100)], length=2, project="flood"))
    simulation.step()
    newcomer = simulation.ask(Ask([_prompt(5, 500)], length=2, project="calm"))
    for _ in range(6):
        simulation.step()
    assert (newcomer.id, 0, 0) in simulation.answers
    assert len(simulation.answers) < 12


def test_removal_frees_everything_in_any_phase() -> None:
    """Cancelled while waiting, in prefill or while decoding, a request leaves no held cell behind."""
    for steps in range(8):
        simulation = Simulation(traits(sequences=2, batch=16), retain=0)
        groups = [simulation.ask(Ask([_prompt(40, salt)], candidates=2, length=9)) for salt in range(3)]
        for _ in range(steps):
            simulation.step()
        for group in groups:
            simulation.scheduler.remove(group)
        assert simulation.scheduler.is_idle
        assert simulation.executor.cells_used == 0
        simulation.scheduler.check_integrity()


def test_a_failed_step_ends_its_requests_and_spares_the_others() -> None:
    """The groups in the broken batch are dropped with their KV; a waiting one is served afterwards."""
    simulation = Simulation(traits(sequences=2))
    doomed = [simulation.ask(Ask([_prompt(10, salt)], candidates=2)) for salt in range(1)]
    spared = simulation.ask(Ask([_prompt(10, 9)], credit=0))
    plan = simulation.scheduler.plan()
    failed = simulation.scheduler.fail(plan)
    assert [group.id for group in failed] == [group.id for group in doomed]
    assert simulation.cache.cells == 0
    spared.credit = 100
    simulation.run()
    simulation.check_answers()


def test_retention_is_bounded_and_forgets_the_least_recently_used() -> None:
    """With 50 cells to retain, of two prompts of 40 tokens the later one is kept."""
    simulation = Simulation(traits(), retain=50)
    for salt in (1, 2):
        simulation.ask(Ask([_prompt(40, salt)], length=1))
        simulation.run()
    assert simulation.cache.cells == 40
    later, earlier = (simulation.ask(Ask([_prompt(40, salt)], length=1)) for salt in (2, 1))
    simulation.run()
    assert (later.cached, earlier.cached) == (39, 0)


def test_an_executor_that_cannot_trim_only_goes_on_with_whole_sequences() -> None:
    """Without fork and trim, a conversation is continued in place and anything else is computed anew."""
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
    """With a cache per sequence, four candidates hold their prompt four times, and all still fits."""
    executor: ExecutorTraits = traits(shares_cells=False, cells=200)
    simulation = Simulation(executor)
    simulation.ask(Ask([_prompt(30)], candidates=4, length=5))
    simulation.step()
    assert simulation.cache.running_cells == 120
    simulation.run()
    simulation.check_answers()
    assert simulation.answers[0, 0, 3] == alone(simulation.executor, _prompt(30), 3, 5)


def test_what_a_twin_computes_is_not_called_cached() -> None:
    """A prompt that waits for another's prefix is begun by its first candidate, so that its cached tokens are true."""
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
    assert simulation.executor.computed + sum(group.cached for group in simulation.groups.values()) == prompts


def test_a_prompt_beyond_what_may_be_retained_is_kept_in_part() -> None:
    """A conversation longer than all that may be kept is not lost whole: its next turn finds as much as may be."""
    simulation = Simulation(traits(cells=1_000), retain=120)
    for expected in (0, 120):
        group = simulation.ask(Ask([[7] * 300], length=1))
        simulation.run()
        assert group.cached == expected
        assert simulation.cache.cells == 120


def test_the_oldest_and_largest_makes_room_for_several() -> None:
    """Retention is bounded: one large old prompt goes before several small newer ones do."""
    simulation = Simulation(traits(cells=1_000), retain=120)
    small = [list(range(100, 120)), [9] * 25, [8] * 15]
    for prompt in (list(range(60)), *small, [5] * 40):
        simulation.ask(Ask([prompt], length=1))
        simulation.run()
    kept = [simulation.ask(Ask([prompt], length=1)) for prompt in small]
    simulation.run()
    assert [group.cached for group in kept] == [19, 24, 14]


def test_where_cells_are_short_the_largest_of_the_older_half_goes() -> None:
    """Four prompts kept and room for one more needed: of the two older ones the larger goes, all others stay."""
    simulation = Simulation(traits(cells=200, sequences=8))
    prompts = [[1] * 20, [2] * 80, [3] * 60, [4] * 20]
    for prompt in prompts:
        simulation.ask(Ask([prompt], length=1))
        simulation.run()
    simulation.ask(Ask([[5] * 50], length=1))
    simulation.run()
    found = [simulation.cache.match(("", "local"), prompt, len(prompt)) for prompt in prompts]
    assert [match.length if match else 0 for match in found] == [20, 0, 60, 20]
