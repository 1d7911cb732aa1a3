from itertools import pairwise

from bench.workload import Workload


def test_prompts_depend_on_load_and_turn_alone() -> None:
    """Every side computes the same prompts, and no prompt occurs in another load or turn."""
    four, five = Workload("four", requests=4), Workload("five", requests=5)
    assert four.prompts(0) == Workload("four", requests=4).prompts(0)
    seen = [tuple(prompt) for work in (four, five) for turn in (0, 1) for prompt in work.prompts(turn)]
    assert len(set(seen)) == len(seen) == 18
    assert {len(prompt) for prompt in seen} == {200}


def test_a_shared_prefix_begins_every_prompt() -> None:
    """Prompts share their first tokens and differ in the following ones."""
    prompts = Workload("shared", requests=3, prompt_tokens=5, shared_tokens=7).prompts(0)
    assert {len(prompt) for prompt in prompts} == {12}
    assert len({tuple(prompt[:7]) for prompt in prompts}) == 1
    assert len({tuple(prompt[7:]) for prompt in prompts}) == 3


def test_arrivals_are_at_once_or_random_at_a_rate() -> None:
    """Without a rate all requests arrive at once; with one they arrive in order, at that rate on average."""
    assert Workload("at once", requests=3).arrivals(0) == [0.0, 0.0, 0.0]
    work = Workload("poisson", requests=4000, rate_per_s=20.0)
    times = work.arrivals(0)
    assert times == sorted(times) == work.arrivals(0)
    assert 190 < times[-1] < 210
    gaps = [after - before for before, after in pairwise(times)]
    assert 0.58 < sum(gap < 0.05 for gap in gaps) / len(gaps) < 0.68  # 1 - 1/e of exponential gaps are below their mean


def test_a_shrunk_load_keeps_its_shape() -> None:
    """Shrinking keeps the number of requests and choices and shortens prompts and answers."""
    work = Workload("w", requests=16, shared_tokens=600, n=2).shrunk(6)
    assert (work.requests, work.n, work.prompt_tokens, work.output_tokens, work.shared_tokens) == (16, 2, 33, 10, 100)
