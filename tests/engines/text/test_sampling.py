"""The sampler samples from exactly the requested distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.domain.text import SamplingParams
from homeport.engines.text.candidate_filters import filter_candidates
from homeport.engines.text.sampling import LogitBias, TokenSampler, sample

WARM = SamplingParams()
NO_BIAS = LogitBias.of({})


def sampler(
    sampling: SamplingParams = WARM, *, seed: int = 1, choice: int = 0, logit_bias: LogitBias = NO_BIAS
) -> TokenSampler:
    return TokenSampler(sampling, seed=seed, choice=choice, bias=logit_bias)


def softmax(row: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    weights = np.exp((row.astype(np.float64) - row.max()) / temperature)
    return np.asarray(weights / weights.sum())


def counts_of(row: NDArray[np.float32], candidate: TokenSampler, n: int) -> NDArray[np.int64]:
    sampled = []
    for _ in range(n):
        sampled.append(int(sample(row[None], [candidate])[0]))
        candidate.position += 1
    return np.bincount(sampled, minlength=len(row))


def assert_distributed(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> None:
    """Check Pearson's chi-square within 5 standard deviations; tokens expected fewer than ten times are pooled."""
    n = counts.sum()
    order = np.argsort(-expected)
    common = order[expected[order] * n >= 10]
    rare = np.setdiff1d(order, common)
    seen = np.append(counts[common], counts[rare].sum())
    expected_counts = np.append(expected[common], expected[rare].sum()) * n
    assert not counts[expected == 0].any()
    seen, expected_counts = seen[expected_counts > 0], expected_counts[expected_counts > 0]
    freedom = max(len(expected_counts) - 1, 1)
    statistic = float(((seen - expected_counts) ** 2 / expected_counts).sum())
    assert statistic < freedom + 5 * np.sqrt(2 * freedom) + 5


@pytest.fixture
def row() -> NDArray[np.float32]:
    """A row over several blocks, peaked like a model's: ten tokens have most of the mass."""
    generator = np.random.default_rng(5)
    values = generator.standard_normal(1500).astype(np.float32)
    values[generator.choice(1500, 10, replace=False)] += 7
    return values


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_softmax(row: NDArray[np.float32], temperature: float) -> None:
    """Without filters, tokens are as frequent as softmax(logits / temperature), over all blocks."""
    assert_distributed(
        counts_of(row, sampler(SamplingParams(temperature=temperature)), 20_000), softmax(row, temperature)
    )


def test_top_k_samples_from_the_k_likeliest(row: NDArray[np.float32]) -> None:
    """top_k keeps exactly k tokens, with their relative probabilities."""
    expected = softmax(row)
    expected[np.argsort(-expected)[5:]] = 0
    assert_distributed(counts_of(row, sampler(SamplingParams(top_k=5)), 5_000), expected / expected.sum())


def test_top_p_samples_from_the_smallest_nucleus(row: NDArray[np.float32]) -> None:
    """top_p keeps the fewest likeliest tokens whose mass reaches p, with their relative probabilities."""
    expected = softmax(row)
    order = np.argsort(-expected)
    nucleus = order[: int(np.searchsorted(np.cumsum(expected[order]), 0.7)) + 1]
    expected[np.setdiff1d(order, nucleus)] = 0
    assert_distributed(counts_of(row, sampler(SamplingParams(top_p=0.7)), 5_000), expected / expected.sum())


def test_min_p_is_relative_to_the_likeliest(row: NDArray[np.float32]) -> None:
    """min_p drops what is less than p times as likely as the likeliest token."""
    expected = softmax(row)
    expected[expected < 0.2 * expected.max()] = 0
    assert_distributed(counts_of(row, sampler(SamplingParams(min_p=0.2)), 5_000), expected / expected.sum())


@given(
    st.lists(st.floats(-12, 12, width=32), min_size=1, max_size=60),
    st.integers(0, 70),
    st.floats(0, 1),
    st.floats(0, 0.99),
)
def test_filters_equal_the_plain_definition(values: list[float], top_k: int, top_p: float, min_p: float) -> None:
    """The result equals that of sorting everything: min-p, then top-k, then top-p of the rest."""
    scaled = np.array(values, dtype=np.float32)
    weights = np.exp(scaled - scaled.max())
    order = np.argsort(-weights, kind="stable")
    order = order[weights[order] >= min_p][: top_k or None]
    mass = np.cumsum(weights[order], dtype=np.float64)
    size = int((mass < top_p * mass[-1]).sum()) + 1
    found = filter_candidates(weights, top_k=top_k, top_p=top_p, min_p=min_p).tolist()
    # Sums in another order differ in the last bits, so a token exactly at the limit may be in or out.
    assert sorted(found) == sorted(order[: len(found)].tolist())
    assert abs(len(found) - min(size, len(order))) <= (
        1 if abs(mass[min(len(found), size) - 1] - top_p * mass[-1]) < 1e-6 else 0
    )


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.5, 3.0])
@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize(("top_k", "top_p", "min_p"), [(0, 0.9, 0.0), (0, 0.2, 0.0), (5_000, 0.7, 0.0), (0, 1.0, 0.01)])
def test_filters_of_flat_rows_equal_the_plain_definition(
    spread: float, rounded: bool, top_k: int, top_p: float, min_p: float
) -> None:
    """For a whole vocabulary, flat or peaked, with many equal weights or none, the result equals that of sorting."""
    row = np.random.default_rng(3).standard_normal(20_000).astype(np.float32) * np.float32(spread)
    row = np.round(row, 1) if rounded else row
    weights = np.exp(row - row.max())
    order = np.argsort(-weights, kind="stable")
    order = order[weights[order] >= min_p][: top_k or None]
    mass = np.cumsum(weights[order], dtype=np.float64)
    size = min(int((mass < top_p * mass[-1]).sum()) + 1, len(order))
    found = filter_candidates(weights, top_k=top_k, top_p=top_p, min_p=min_p)
    assert abs(len(found) - size) <= 1  # sums in another order differ in the last bits
    assert sorted(found.tolist()) == sorted(order[: len(found)].tolist())


def test_a_wide_nucleus_is_sampled_by_its_weights() -> None:
    """Of thousands of tokens within top-p, each is as frequent as its weight, and none outside is sampled."""
    row = np.random.default_rng(4).standard_normal(6_000).astype(np.float32)
    row[::1000] += 6
    expected = softmax(row)
    inside = np.zeros(len(row), dtype=bool)
    inside[filter_candidates(np.exp(row - row.max()), top_k=0, top_p=0.8, min_p=0.0)] = True
    assert inside.sum() > 1024
    expected[~inside] = 0
    assert_distributed(counts_of(row, sampler(SamplingParams(top_p=0.8)), 6_000), expected / expected.sum())


def test_top_p_zero_takes_the_likeliest(row: NDArray[np.float32]) -> None:
    """top_p 0 leaves one token at any temperature."""
    assert counts_of(row, sampler(SamplingParams(top_p=0.0, temperature=2.0)), 50)[row.argmax()] == 50


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 1e-6, 1e-4])
def test_low_temperatures_are_greedy(row: NDArray[np.float32], temperature: float) -> None:
    """Temperature 0, or nearly 0, chooses the likeliest token without a warning."""
    assert counts_of(row, sampler(SamplingParams(temperature=temperature)), 20)[row.argmax()] == 20


def test_other_rows_change_nothing(row: NDArray[np.float32]) -> None:
    """A row's token is the same alone and anywhere in any batch, for the same seed, choice and position."""
    generator = np.random.default_rng(0)
    rows = np.stack([row, *generator.standard_normal((7, len(row))).astype(np.float32)])
    kinds = [
        WARM,
        SamplingParams(top_p=0.8),
        SamplingParams(temperature=0.0),
        SamplingParams(top_k=40, temperature=1.7),
    ]
    alone = [int(sample(rows[i : i + 1], [sampler(kinds[i % 4], seed=9, choice=i)])[0]) for i in range(8)]
    for order in ([0, 1, 2, 3, 4, 5, 6, 7], [7, 2, 5], [3, 0, 6, 1]):
        together = sample(rows[order], [sampler(kinds[i % 4], seed=9, choice=i) for i in order])
        assert together.tolist() == [alone[i] for i in order]


def test_seed_choice_and_position_each_matter(row: NDArray[np.float32]) -> None:
    """The same seed gives the same run; another seed or another choice gives another."""

    def run(seed: int, choice: int) -> list[int]:
        candidate, tokens = sampler(SamplingParams(temperature=1.5), seed=seed, choice=choice), []
        for _ in range(30):
            tokens.append(int(sample(row[None], [candidate])[0]))
            candidate.accept(tokens[-1])
        return tokens

    assert run(1, 0) == run(1, 0)
    assert len({tuple(run(1, 0)), tuple(run(2, 0)), tuple(run(1, 1))}) == 3
    assert len(set(run(1, 0))) > 5


def test_penalties_are_openais_formula(row: NDArray[np.float32]) -> None:
    """Logits decrease by exactly frequency * count + presence, for generated tokens only."""
    candidate = sampler(SamplingParams(frequency_penalty=0.5, presence_penalty=-1.25))
    for token in (3, 900, 3, 3):
        candidate.accept(token)
    change = candidate.process_logits(row) - row
    assert change[3] == pytest.approx(-0.5 * 3 + 1.25, abs=1e-5)
    assert change[900] == pytest.approx(-0.5 + 1.25, abs=1e-5)
    assert np.flatnonzero(change).tolist() == [3, 900]


def test_penalties_survive_long_outputs(row: NDArray[np.float32]) -> None:
    """Counts stay right when the arrays have to grow."""
    candidate = sampler(SamplingParams(frequency_penalty=1.0))
    for token in [*range(500), *range(250)]:
        candidate.accept(token)
    change = row - candidate.process_logits(row)
    assert change[:250] == pytest.approx(2, abs=1e-5)
    assert change[250:500] == pytest.approx(1, abs=1e-5)
    assert not change[500:].any()


def test_repetition_penalty_covers_prompt_and_output() -> None:
    """Each seen token's logit is divided (or multiplied, if negative) once, however often it was seen."""
    row = np.array([2.0, -2.0, 4.0, 1.0], dtype=np.float32)
    candidate = TokenSampler(
        SamplingParams(repetition_penalty=2.0), seed=1, choice=0, bias=NO_BIAS, prompt_ids=np.array([0, 1], np.int32)
    )
    candidate.accept(2)
    candidate.accept(0)
    assert candidate.process_logits(row).tolist() == [1.0, -4.0, 2.0, 1.0]


@pytest.mark.parametrize("penalty", [1e-300, 5e-324, 1e-31, 1e-5, 10.0])
def test_any_repetition_penalty_leaves_finite_logits(penalty: float) -> None:
    """With any penalty, logits stay finite, and the likelier of two repeated tokens stays likelier."""
    row = np.array([2.0, -2.0, 40.0, 1.0], dtype=np.float32)
    candidate = TokenSampler(SamplingParams(repetition_penalty=penalty), seed=1, choice=0, bias=NO_BIAS)
    for token in (0, 1, 2):
        candidate.accept(token)
    adjusted = candidate.process_logits(row)
    assert np.isfinite(adjusted).all()
    assert adjusted[2] > adjusted[0]
    assert 0 <= sample(row[None], [candidate])[0] < 4


def test_bans_of_all_tokens_are_ignored(row: NDArray[np.float32]) -> None:
    """If all tokens are banned, by the bias and until `min_tokens`, the bans are ignored."""
    all_but_one = LogitBias.of(dict.fromkeys(range(1, len(row)), -100.0))
    last = TokenSampler(
        SamplingParams(temperature=0.0), seed=1, choice=0, bias=all_but_one, ends=np.array([0], np.int32), min_tokens=1
    )
    assert sample(row[None], [last])[0] == row.argmax()


def test_bias_is_added(row: NDArray[np.float32]) -> None:
    """A bias between -100 and 100 is added to its token's logit and to nothing else."""
    change = sampler(logit_bias=LogitBias.of({7: 2.5, 1400: -99.0})).process_logits(row) - row
    assert change[[7, 1400]] == pytest.approx([2.5, -99.0], abs=1e-4)
    assert np.flatnonzero(change).tolist() == [7, 1400]


@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0])
def test_plus_hundred_forces(row: NDArray[np.float32], temperature: float) -> None:
    """+100 forces a token, even if another one's logit is higher by more than 100."""
    row[4] = 500.0
    assert (
        counts_of(row, sampler(SamplingParams(temperature=temperature), logit_bias=LogitBias.of({1234: 100.0})), 50)[
            1234
        ]
        == 50
    )


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_minus_hundred_bans(row: NDArray[np.float32], temperature: float) -> None:
    """-100 bans a token, even if its logit is higher than all others by more than 100."""
    row[4] = 500.0
    assert (
        counts_of(row, sampler(SamplingParams(temperature=temperature), logit_bias=LogitBias.of({4: -100.0})), 50)[4]
        == 0
    )


def test_ends_are_banned_until_min_tokens(row: NDArray[np.float32]) -> None:
    """End tokens are not sampled before min_tokens tokens, not even forced ones, and can be afterwards."""
    row[[4, 8]] = 500.0
    candidate = TokenSampler(
        SamplingParams(temperature=0.0),
        seed=1,
        choice=0,
        bias=LogitBias.of({4: 100.0}),
        ends=np.array([4, 8], np.int32),
        min_tokens=2,
    )
    for _ in range(2):
        token = int(sample(row[None], [candidate])[0])
        assert token not in (4, 8)
        candidate.accept(token)
    assert sample(row[None], [candidate])[0] == 4


def test_logits_are_never_written(row: NDArray[np.float32]) -> None:
    """Neither sampling nor penalties change the matrix, and an unadjusted row is not copied."""
    row.flags.writeable = False
    busy = sampler(SamplingParams(frequency_penalty=1.0, top_p=0.5), logit_bias=LogitBias.of({1: 5.0, 2: -100.0}))
    busy.accept(9)
    assert sample(np.broadcast_to(row, (2, len(row))), [busy, sampler()]).shape == (2,)
    assert sampler().process_logits(row) is row


@pytest.mark.parametrize("broken", [np.nan, -np.inf])
def test_unusable_logits_are_an_error(broken: float) -> None:
    """A row without finite logits fails instead of returning an arbitrary token."""
    with pytest.raises(EngineFailed):
        sample(np.full((1, 8), broken, dtype=np.float32), [sampler()])
