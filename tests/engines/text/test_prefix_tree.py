"""The prefix tree compared with a simple model of it: a dictionary of token lists."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from homeport.engines.text.prefix_tree import PrefixTree, common_length

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=5)


class TreeAgainstLists(RuleBasedStateMachine):
    """Random adds, extensions, forks, trims and removals; every result is compared with the lists."""

    sequences = Bundle("sequences")

    @initialize(shares=st.booleans())
    def begin(self, shares: bool) -> None:
        """Create an empty tree and an empty model: (namespace, [(cell, token)…]) by sequence."""
        self.shares = shares
        self.tree = PrefixTree(shares_cells=shares)
        self.model: dict[int, tuple[str, list[tuple[int, int]]]] = {}
        self.next_sequence = 0
        self.next_cell = 0

    def _cells(self, tokens: list[int]) -> list[tuple[int, int]]:
        self.next_cell += len(tokens)
        return list(zip(range(self.next_cell - len(tokens), self.next_cell), tokens, strict=True))

    @rule(target=sequences, namespace=st.sampled_from("ab"))
    def add(self, namespace: str) -> int:
        self.next_sequence += 1
        self.tree.add(self.next_sequence, namespace)
        self.model[self.next_sequence] = (namespace, [])
        return self.next_sequence

    @rule(sequence=sequences, tokens=TOKENS)
    def extend(self, sequence: int, tokens: list[int]) -> None:
        self.tree.extend(sequence, tokens)
        self.model[sequence][1].extend(self._cells(tokens))

    @rule(target=sequences, source=sequences, data=st.data())
    def fork(self, source: int, data: st.DataObject) -> int:
        namespace, run = self.model[source]
        n = data.draw(st.integers(0, len(run)))
        self.next_sequence += 1
        self.tree.fork(source, self.next_sequence, n)
        copy = run[:n] if self.shares else self._cells([token for _, token in run[:n]])
        self.model[self.next_sequence] = (namespace, copy)
        return self.next_sequence

    @rule(sequence=sequences, data=st.data())
    def trim(self, sequence: int, data: st.DataObject) -> None:
        run = self.model[sequence][1]
        n = data.draw(st.integers(0, len(run)))
        self.tree.trim(sequence, n)
        del run[n:]

    @rule(target=sequences, sequence=consumes(sequences))
    def remove(self, sequence: int) -> object:
        self.tree.remove(sequence)
        del self.model[sequence]
        return multiple()

    @rule(namespace=st.sampled_from("ab"), tokens=st.lists(st.integers(0, 2), min_size=1, max_size=12), data=st.data())
    def match(self, namespace: str, tokens: list[int], data: st.DataObject) -> None:
        limit = data.draw(st.integers(0, len(tokens)))
        runs = {
            sequence: [token for _, token in run] for sequence, (name, run) in self.model.items() if name == namespace
        }
        best = max((common_length(run, tokens, limit) for run in runs.values()), default=0)
        found = self.tree.match(namespace, tokens, limit)
        assert (found.length if found else 0) == best
        if found:
            assert all(runs[holder][:best] == tokens[:best] for holder in found.holders)
        whole = max((len(run) for run in runs.values() if run == tokens[: len(run)][:limit]), default=0)
        among = self.tree.match(namespace, tokens, limit, among=set(self.model))
        assert (among.length if among else 0) == whole

    @rule(data=st.data())
    def held(self, data: st.DataObject) -> None:
        some = data.draw(st.sets(st.sampled_from(sorted(self.model)))) if self.model else set()
        assert self.tree.cells_of(some) == len({cell for sequence in some for cell, _ in self.model[sequence][1]})

    @invariant()
    def books_are_right(self) -> None:
        self.tree.check_integrity()
        assert self.tree.cells == len({cell for _, run in self.model.values() for cell, _ in run})
        for sequence, (_, run) in self.model.items():
            assert self.tree.tokens(sequence) == [token for _, token in run]
            assert self.tree.length(sequence) == len(run)


TreeAgainstLists.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_tree_agrees_with_lists = TreeAgainstLists.TestCase


def test_common_length_is_bounded() -> None:
    """It counts equal leading tokens, up to the limit and the shorter list."""
    assert common_length([1, 2, 3, 4], [1, 2, 9, 4], 10) == 2
    assert common_length([1, 2, 3], [1, 2, 3, 4], 10) == 3
    assert common_length([1, 2, 3], [1, 2, 3, 4], 1) == 1
    assert common_length([], [1], 5) == 0


def test_a_sequence_is_covered_if_another_holds_all_of_it() -> None:
    """A prefix of a fork is covered by it; the fork, once extended, is not."""
    tree = PrefixTree(shares_cells=True)
    tree.add(0, "a")
    tree.extend(0, [1, 2, 3])
    tree.fork(0, 1, 3)
    tree.extend(1, [4])
    assert tree.is_covered(0)
    assert not tree.is_covered(1)


def test_part_of_a_match_may_be_held() -> None:
    """Of five matching tokens, the three that an active sequence shares count as held."""
    tree = PrefixTree(shares_cells=True)
    tree.add(0, "a")
    tree.extend(0, [1, 2, 3, 4, 5])
    tree.fork(0, 1, 3)
    match = tree.match("a", [1, 2, 3, 4, 5, 6], 6)
    assert match is not None
    assert match.length == 5
    assert tree.held_tokens(match, {1}) == 3
    assert tree.held_tokens(match, {0}) == 5
    assert tree.held_tokens(match, {7}) == 0


def test_a_wrong_count_is_detected() -> None:
    """The integrity check fails if a count is wrong."""
    tree = PrefixTree(shares_cells=True)
    tree.add(0, "a")
    tree.extend(0, [1, 2])
    tree.cells += 1
    with pytest.raises(AssertionError, match="this is a bug: 2 cells counted, 3 recorded"):
        tree.check_integrity()
