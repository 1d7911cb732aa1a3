"""Under a constraint, only allowed tokens are sampled, with the probabilities of the masked distribution."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from homeport.domain.text import SamplingParams
from homeport.engines.text.constraint import ConstraintFailed
from homeport.engines.text.sampling import LogitBias, TokenSampler, sample, sample_runs
from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest
from homeport.engines.text.step_plan import LogitsRow
from tests.engines.text.test_sampling import assert_distributed, softmax

SIZE = 1500
END = 7
GREEDY = SamplingParams(temperature=0.0)


class FakeConstraint:
    """Allows what `rule` says of the tokens so far; `plan` is forced. Counts its masks."""

    def __init__(
        self, rule: Callable[[Sequence[int]], Sequence[int]], plan: Sequence[int] = (), length: int | None = None
    ) -> None:
        self._rule, self._plan, self._length = rule, list(plan), length
        self.tokens: list[int] = []
        self.masks = 0

    @property
    def is_complete(self) -> bool:
        """Whether it has its length."""
        return len(self.tokens) == self._length

    def forced(self) -> Sequence[int]:
        """Return what is left of the plan."""
        return self._plan[len(self.tokens) :]

    def allows(self, token: int) -> bool:
        """Return whether the rule, or the plan, allows a token."""
        return token in (self.forced()[:1] or self._rule(self.tokens))

    def mask(self) -> NDArray[np.bool_]:
        """Return the allowed tokens."""
        self.masks += 1
        mask = np.zeros(SIZE, dtype=np.bool_)
        mask[list(self.forced()[:1] or self._rule(self.tokens))] = True
        return mask

    def accept(self, token: int) -> None:
        """Add a token; raises if it is not allowed."""
        if not self.allows(token):
            raise ConstraintFailed("not allowed")
        self.tokens.append(token)


def sampler(
    constraint: FakeConstraint | None,
    sampling: SamplingParams | None = None,
    *,
    bias: dict[int, float] | None = None,
    seed: int = 1,
    min_tokens: int = 0,
) -> TokenSampler:
    ends = np.array([END], np.int32)
    one = TokenSampler(
        sampling or SamplingParams(),
        seed=seed,
        choice=0,
        bias=LogitBias.of(bias or {}),
        ends=ends,
        min_tokens=min_tokens,
    )
    one.constraint = constraint
    return one


def rows(n: int, seed: int = 5) -> NDArray[np.float32]:
    """Return logits (n, SIZE) peaked like a model's."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((n, SIZE)).astype(np.float32)
    values[:, generator.choice(SIZE, 10, replace=False)] += 7
    return values


def one_of(*tokens: int) -> FakeConstraint:
    return FakeConstraint(lambda _: tokens)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
@pytest.mark.parametrize("share", [0.02, 0.6])
def test_samples_follow_the_masked_softmax(temperature: float, share: float) -> None:
    """Whether the grammar forbids most of the mass or little, allowed tokens have their relative probabilities."""
    row = rows(1)[0]
    allowed = np.flatnonzero(np.random.default_rng(2).random(SIZE) < share)
    expected = np.zeros(SIZE)
    expected[allowed] = softmax(row[allowed], temperature)
    constraint = one_of(*allowed.tolist())
    sampled = [
        int(sample(row[None], [sampler(constraint, SamplingParams(temperature=temperature), seed=seed)])[0])
        for seed in range(6_000)
    ]
    assert_distributed(np.bincount(sampled, minlength=SIZE), expected)
    assert 0 < constraint.masks <= 6_000


def test_an_allowed_token_costs_no_mask() -> None:
    """The mask is computed only if the sampled token is forbidden; the likeliest allowed one is then chosen."""
    row = rows(1)[0]
    best, second = np.argsort(-row)[:2].tolist()
    constraint = one_of(best, second)
    assert sample(row[None], [sampler(constraint, GREEDY)]).tolist() == [best]
    assert constraint.masks == 0
    constraint = one_of(second, 3)
    assert sample(row[None], [sampler(constraint, GREEDY)]).tolist() == [second]
    assert constraint.masks == 1


@pytest.mark.parametrize("sampling", [SamplingParams(), GREEDY, SamplingParams(top_k=1), SamplingParams(top_p=0.1)])
def test_the_grammar_outranks_bias_and_bans(sampling: SamplingParams) -> None:
    """A forbidden token stays forbidden with any bias, and bans are ignored where they leave nothing allowed."""
    row = rows(1)
    assert sample(row, [sampler(one_of(3), sampling, bias={9: 100.0})]).tolist() == [3]
    assert sample(row, [sampler(one_of(3, 9), sampling, bias={9: 100.0})]).tolist() == [9]
    assert sample(row, [sampler(one_of(3), sampling, bias={3: -100.0})]).tolist() == [3]
    assert sample(row, [sampler(one_of(3, 9), sampling, bias={3: -100.0})]).tolist() == [9]
    assert sample(row, [sampler(one_of(END), sampling, min_tokens=5)]).tolist() == [END]
    assert sample(row, [sampler(one_of(END, 4), sampling, min_tokens=5)]).tolist() == [4]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1_000),
    st.sampled_from((0.0, 1.0, 3.0)),
    st.sampled_from((0.3, 1.0)),
    st.integers(0, 6),
    st.lists(st.integers(0, SIZE - 1), max_size=3),
)
def test_tokens_do_not_depend_on_drafts_or_neighbours(
    seed: int, temperature: float, top_p: float, right: int, wrong: list[int]
) -> None:
    """With the same seed, the same tokens are sampled one by one, with drafts, and next to other rows."""
    sampling = SamplingParams(temperature=temperature, top_p=top_p, frequency_penalty=0.5)

    def start() -> TokenSampler:
        return sampler(FakeConstraint(lambda tokens: range(len(tokens), SIZE, 5), plan=[0, 11]), sampling, seed=seed)

    logits = rows(10, seed=seed)
    single = start()
    expected = []
    for row in logits:
        expected.append(int(sample(row[None], [single])[0]))
        single.accept(expected[-1])
    assert expected[:2] == [0, 11]
    assert all(token % 5 == place % 5 for place, token in enumerate(expected[2:], 2))
    draft = tuple(expected[:right] + wrong)
    neighbour, candidate = sampler(None, sampling, seed=seed), ScheduledRequest(0, "", "", 1).add_candidate(0, [1])
    placed = [LogitsRow(0, candidate), LogitsRow(0, candidate, draft)]
    run = sample_runs(logits, placed, [neighbour, start()])[1]
    assert run == expected[: len(run)]
    assert len(run) > right


def test_tokens_that_are_known_are_not_sampled() -> None:
    """Tokens of `force` come first, then those that the grammar forces; both count as generated."""
    constraint = FakeConstraint(lambda _: range(SIZE), plan=[5, 6, 7])
    one = sampler(constraint)
    one.force([5])
    assert one.next_forced() == (5,)
    assert _run(one, 4)[:3] == [5, 6, 7]
    assert one.position == len(constraint.tokens) == 4
    free = sampler(None)
    free.force([8, 9])
    assert _run(free, 3)[:2] == [8, 9]
    assert not free.next_forced()


def test_a_token_that_is_forced_against_the_grammar_is_dropped() -> None:
    """Where the grammar forbids a token of `force`, it and those after it are given up."""
    one = sampler(one_of(3))
    one.force([8, 3])
    assert not one.next_forced()
    assert _run(one, 2) == [3, 3]
    assert one.failure is None


def test_a_run_ends_with_its_grammar() -> None:
    """A complete grammar ends a run within its draft."""
    constraint = FakeConstraint(lambda _: (4,), length=2)
    one = sampler(constraint)
    assert not one.is_complete
    assert sample_runs(rows(5), [LogitsRow(0, _candidate(), (4, 4, 4, 4))], [one]) == [[4, 4]]
    assert one.is_complete
    assert not one.goes_on


class BrokenConstraint(FakeConstraint):
    """Fails when a mask is needed."""

    def mask(self) -> NDArray[np.bool_]:
        """Raise."""
        raise ConstraintFailed("too complex")


def test_a_failure_is_that_answers_alone() -> None:
    """A constraint that fails, or allows nothing, fails its own sampler; the others sample as without it."""
    row, nothing = rows(1)[0], FakeConstraint(lambda _: ())
    logits = np.stack([row] * 4)
    broken = BrokenConstraint(lambda _: (3,))
    samplers = [sampler(nothing), sampler(broken), sampler(one_of(3))]
    runs = sample_runs(logits, [LogitsRow(index, _candidate(), (3,)) for index in range(3)], samplers)
    assert [one.failure is not None for one in samplers] == [True, True, False]
    assert samplers[1].failure is not None
    assert samplers[1].failure.message == "too complex"
    assert [len(run) for run in runs[:2]] == [1, 1]
    assert runs[2][0] == 3


def _candidate() -> Candidate:
    return ScheduledRequest(0, "", "", 1).add_candidate(0, [1])


def _run(one: TokenSampler, n: int) -> list[int]:
    """Return the tokens that a sampler samples from the same row."""
    tokens = []
    for _ in range(n):
        tokens.append(int(sample(rows(1), [one])[0]))
        one.accept(tokens[-1])
    return tokens
