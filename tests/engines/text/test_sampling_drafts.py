"""With drafts or without, the same tokens are sampled, and so the same distribution."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.domain.text import SamplingParams
from homeport.engines.text.executor import Logits, TokenBatch
from homeport.engines.text.logprobs import score, score_runs
from homeport.engines.text.sampling import LogitBias, TokenSampler, sample, sample_runs
from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest
from homeport.engines.text.step_plan import LogitsRow
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import traits

NO_BIAS = LogitBias.of({})
PROMPT = list(b"It was a dark and stormy night")
# 99.9th percentile of chi-square by degrees of freedom. Source: NIST/SEMATECH e-Handbook, 1.3.6.7.4.
CRITICAL = {7: 24.322}

samplings = st.builds(
    SamplingParams,
    temperature=st.sampled_from((0.0, 0.7, 1.0, 2.0)),
    top_p=st.sampled_from((0.5, 1.0)),
    top_k=st.sampled_from((0, 5)),
    frequency_penalty=st.sampled_from((0.0, 1.5)),
    presence_penalty=st.sampled_from((0.0, -1.0)),
    repetition_penalty=st.sampled_from((1.0, 1.3)),
)


def _sampler(sampling: SamplingParams, seed: int) -> TokenSampler:
    prompt, ends = np.unique(np.array(PROMPT, np.int32)), np.array([1, 2], np.int32)
    return TokenSampler(sampling, seed=seed, choice=0, bias=NO_BIAS, prompt_ids=prompt, ends=ends, min_tokens=3)


def _candidate() -> Candidate:
    return ScheduledRequest(0, "", "", 1).add_candidate(0, PROMPT)


def _verified(draft: list[int], sampler: TokenSampler, seed_rows: int = 0) -> list[int]:
    """Return the tokens that one step samples with this draft; `seed_rows` other rows precede it in the logits."""
    executor = FakeExecutor(traits())
    tokens = np.array([*PROMPT, *draft], np.int32)
    count = len(tokens)
    wanted = np.arange(len(PROMPT) - 1 - seed_rows, count, dtype=np.int32)
    logits = executor.forward(TokenBatch(tokens, np.arange(count, dtype=np.int32), np.zeros(count, np.int32), wanted))
    return sample_runs(logits, [LogitsRow(seed_rows, _candidate(), tuple(draft))], [sampler])[0]


def _one_by_one(n: int, sampler: TokenSampler) -> list[int]:
    executor, tokens = FakeExecutor(traits()), list(PROMPT)
    for _ in range(n):
        token = int(sample(executor.next_logits(tokens)[np.newaxis], [sampler])[0])
        sampler.accept(token)
        tokens.append(token)
    return tokens[len(PROMPT) :]


@settings(max_examples=100, deadline=None)
@given(samplings, st.integers(0, 1_000), st.integers(0, 6), st.lists(st.integers(0, 262), max_size=3))
def test_a_run_equals_sampling_one_by_one(sampling: SamplingParams, seed: int, right: int, wrong: list[int]) -> None:
    """Exactly the correct part of a draft and one more token are sampled, also with penalties."""
    expected = _one_by_one(10, _sampler(sampling, seed))
    draft = expected[:right] + wrong
    run = _verified(draft, _sampler(sampling, seed), seed_rows=2)
    differs = (drafted != token for drafted, token in zip(draft, expected, strict=False))
    agreed = next((n for n, differing in enumerate(differs) if differing), len(draft))
    assert run == expected[: agreed + 1]


def test_rows_of_many_candidates_are_sampled_together() -> None:
    """With drafts of unequal length, right, wrong and none, each run comes from its own rows."""
    rows = np.full((9, 50), -9.0, np.float32)
    for index, likeliest in enumerate((3, 4, 5, 6, 7, 8, 9, 10, 11)):
        rows[index, likeliest] = 9.0
    drafts: list[tuple[int, tuple[int, ...]]] = [(0, (3, 4)), (3, ()), (4, (7, 49, 9)), (8, ())]
    rows_with_drafts = [LogitsRow(index, _candidate(), draft) for index, draft in drafts]
    greedy = [TokenSampler(SamplingParams(temperature=0.0), seed=0, choice=0, bias=NO_BIAS) for _ in drafts]
    assert sample_runs(rows, rows_with_drafts, greedy) == [[3, 4, 5], [6], [7, 8], [11]]
    assert [sampler.position for sampler in greedy] == [3, 1, 2, 1]


def test_every_token_of_a_run_is_scored_from_its_own_row() -> None:
    """Scores of a run are those of its rows one by one; a row without scores has none."""
    logits: Logits = np.random.default_rng(1).normal(size=(5, 40)).astype(np.float32)
    rows = [LogitsRow(0, _candidate(), (1, 2, 3)), LogitsRow(4, _candidate())]
    scores = score_runs(logits, rows, [[1, 2, 9], [7]], [2, None])
    assert scores == [list(score(logits[:3], [1, 2, 9], [2, 2, 2])), [None]]


def test_the_distribution_is_unchanged_by_drafts() -> None:
    """Over 4,000 seeds, the second token after an accepted first one has the model's own distribution."""
    warm = SamplingParams(temperature=1.0, top_k=8)
    firsts = Counter(_one_by_one(1, _sampler(warm, seed))[0] for seed in range(200))
    token = firsts.most_common(1)[0][0]
    runs = [_verified([token], _sampler(warm, seed)) for seed in range(4_000)]
    seconds = Counter(run[1] for run in runs if len(run) == 2)
    row = FakeExecutor(traits()).next_logits([*PROMPT, token])
    _check(seconds, row, 8)
    _check(Counter(run[0] for run in runs), FakeExecutor(traits()).next_logits(PROMPT), 8)


def _check(counts: Counter[int], row: Logits, top_k: int) -> None:
    """Check Pearson's chi-square of counts against softmax over a row's `top_k` likeliest ids, except ids 1 and 2."""
    ids = np.argsort(-row)[:top_k]
    weights = np.exp((row[ids] - row[ids].max()).astype(np.float64))
    expected = weights / weights.sum() * counts.total()
    assert set(counts) <= set(ids.tolist())
    assert expected.min() >= 5, "too few draws for this test"
    statistic = sum((counts[int(id)] - mean) ** 2 / mean for id, mean in zip(ids, expected, strict=True))
    assert statistic < CRITICAL[top_k - 1]
