"""The prefix tree: which tokens each executor sequence holds, which of them are shared, and how many cells they use.

A radix tree over token ids with one root per namespace, so no match crosses namespaces. A node owns a run of tokens
that its holders (executor sequence ids) have computed or forked. Two sequences that computed the same tokens separately
hold different cells, so siblings may begin with the same tokens. Pure accounting: knows nothing of executors, requests
or eviction.
"""

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from homeport.engines.text.assertions import require, require_value


@dataclass(eq=False, slots=True)
class PrefixNode:
    """A run of tokens after `parent`'s, held by every sequence in `holders`. `children` are keyed by first token."""

    tokens: list[int]
    parent: "PrefixNode | None"
    holders: set[int]
    children: "dict[int, list[PrefixNode]]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """The longest known prefix of a prompt: `length` tokens, all of them in `node` or before it."""

    length: int
    depth: int  # tokens before `node`
    node: PrefixNode

    @property
    def holders(self) -> Collection[int]:
        """The sequences that hold these tokens, and possibly more."""
        return self.node.holders


def common_length(left: Sequence[int], right: Sequence[int], limit: int) -> int:
    """Return how many leading tokens two sequences share, at most `limit`."""
    low, high = 0, min(len(left), len(right), limit)
    while low < high:  # slices compare in C, so bisection is faster than a loop over tokens
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class PrefixTree:
    """Counts the cells of sequences. `shares_cells`: a fork costs no cells; otherwise each holder has its own."""

    def __init__(self, *, shares_cells: bool) -> None:
        self._shares_cells = shares_cells
        self._roots: dict[Hashable, PrefixNode] = {}
        self._tails: dict[int, PrefixNode] = {}
        self._lengths: dict[int, int] = {}
        self._namespaces: dict[int, Hashable] = {}
        self.cells = 0

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._tails

    def length(self, sequence: int) -> int:
        """Return the number of tokens this sequence holds."""
        return self._lengths[sequence]

    def namespace(self, sequence: int) -> Hashable:
        """Return the namespace in which this sequence's tokens match."""
        return self._namespaces[sequence]

    def tokens(self, sequence: int) -> list[int]:
        """Return the tokens this sequence holds."""
        path = [node.tokens for node in self._path(sequence)]
        return [token for run in reversed(path) for token in run]

    def is_covered(self, sequence: int) -> bool:
        """Return whether another sequence holds all tokens of this one, in the same cells or in copies."""
        return len(self._tails[sequence].holders) > 1

    def exclusive_cells(self, sequence: int) -> int:
        """Return the number of cells that become free when this sequence is removed."""
        if not self._shares_cells:
            return self._lengths[sequence]
        return sum(len(node.tokens) for node in self._path(sequence) if len(node.holders) == 1)

    def add(self, sequence: int, namespace: Hashable) -> None:
        """Add an empty sequence."""
        require(sequence not in self._tails, "the sequence is in use")
        root = self._roots.setdefault(namespace, PrefixNode([], None, set()))
        root.holders.add(sequence)
        self._tails[sequence], self._lengths[sequence], self._namespaces[sequence] = root, 0, namespace

    def extend(self, sequence: int, tokens: Sequence[int]) -> None:
        """Append computed tokens."""
        if not tokens:
            return
        tail = self._tails[sequence]
        if tail.parent is not None and len(tail.holders) == 1 and not tail.children:
            tail.tokens.extend(tokens)
        else:
            child = PrefixNode(list(tokens), tail, {sequence})
            tail.children.setdefault(tokens[0], []).append(child)
            self._tails[sequence] = child
        self._lengths[sequence] += len(tokens)
        self.cells += len(tokens)

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Add a sequence that begins with the first `n_tokens` of `source`."""
        self.add(target, self._namespaces[source])
        tail = node = self._node_ending_at(source, n_tokens)
        while node.parent is not None:
            node.holders.add(target)
            node = node.parent
        self._tails[target], self._lengths[target] = tail, n_tokens
        if not self._shares_cells:
            self.cells += n_tokens

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens`."""
        keep = self._node_ending_at(sequence, n_tokens)
        node = self._tails[sequence]
        while node is not keep:
            parent = require_value(node.parent, "a path has no root")
            self._remove_holder(node, sequence)
            node = parent
        self._tails[sequence], self._lengths[sequence] = keep, n_tokens

    def remove(self, sequence: int) -> None:
        """Remove a sequence and the tokens that only it held."""
        self.trim(sequence, 0)
        namespace = self._namespaces.pop(sequence)
        root = self._roots[namespace]
        root.holders.discard(sequence)
        del self._tails[sequence], self._lengths[sequence]
        if not root.holders:
            del self._roots[namespace]

    def match(
        self, namespace: Hashable, tokens: Sequence[int], limit: int, *, among: Collection[int] | None = None
    ) -> PrefixMatch | None:
        """Return the longest prefix of `tokens` in the tree, at most `limit` long; None if nothing matches.

        `among`: accept only prefixes that are the whole content of one of these sequences.
        """
        root = self._roots.get(namespace)
        best: PrefixMatch | None = None
        pending = [(root, 0)] if root is not None and limit > 0 else []
        while pending:
            parent, depth = pending.pop()
            for node in parent.children.get(tokens[depth], ()):
                run = node.tokens
                shared = common_length(run, tokens[depth : depth + len(run)], limit - depth)
                match = PrefixMatch(depth + shared, depth, node)
                if (best is None or match.length > best.length) and self._is_whole(match, among):
                    best = match
                if shared == len(run) and depth + shared < limit:
                    pending.append((node, depth + shared))
        return best

    def cells_of(self, sequences: Collection[int]) -> int:
        """Return the number of cells these sequences use together."""
        if not self._shares_cells:
            return sum(self._lengths[sequence] for sequence in sequences)
        members = set(sequences)
        return sum(len(node.tokens) for node in self._nodes() if not node.holders.isdisjoint(members))

    def held_tokens(self, match: PrefixMatch, sequences: set[int]) -> int:
        """Return how many tokens of a match are in cells that one of `sequences` uses."""
        node, stop, depth = match.node, match.length, match.depth
        while node.parent is not None and node.holders.isdisjoint(sequences):
            node, stop = node.parent, depth
            depth -= len(node.tokens)
        return stop

    def check_integrity(self) -> None:
        """Recount everything. Raises AssertionError if a count is wrong."""
        cells = 0
        for node in self._nodes():
            parent = require_value(node.parent, "a node has no parent")
            require(bool(node.holders), "a node has no holders")
            require(bool(node.tokens), "a node has no tokens")
            require(node.holders <= parent.holders, "a path has a gap")
            cells += len(node.tokens) * (1 if self._shares_cells else len(node.holders))
        require(cells == self.cells, f"{cells} cells counted, {self.cells} recorded")
        for sequence, length in self._lengths.items():
            run = sum(len(node.tokens) for node in self._path(sequence))
            require(run == length, f"sequence {sequence} holds {run} tokens, {length} recorded")

    def _is_whole(self, match: PrefixMatch, among: Collection[int] | None) -> bool:
        """Return whether one of `among` holds a match's tokens and no more. With None every match is accepted."""
        return among is None or any(s in among and self._lengths[s] == match.length for s in match.holders)

    def _nodes(self) -> Iterator[PrefixNode]:
        """Iterate over every node except the roots."""
        pending = list(self._roots.values())
        while pending:
            for siblings in pending.pop().children.values():
                yield from siblings
                pending.extend(siblings)

    def _path(self, sequence: int) -> Iterator[PrefixNode]:
        """Iterate over the nodes of a sequence, last first."""
        node = self._tails[sequence]
        while node.parent is not None:
            yield node
            node = node.parent

    def _node_ending_at(self, sequence: int, n_tokens: int) -> PrefixNode:
        """Return the node of a sequence that ends after `n_tokens`; split one if necessary."""
        node, end = self._tails[sequence], self._lengths[sequence]
        require(0 <= n_tokens <= end, "a sequence was cut beyond its end")
        while node.parent is not None and end - len(node.tokens) >= n_tokens:
            end -= len(node.tokens)
            node = node.parent
        return node if end == n_tokens else self._split(node, len(node.tokens) - (end - n_tokens))

    def _split(self, node: PrefixNode, at: int) -> PrefixNode:
        """Move the first `at` tokens of a node into a new parent of it; return that."""
        parent = require_value(node.parent, "a root was split")
        upper = PrefixNode(node.tokens[:at], parent, set(node.holders), {node.tokens[at]: [node]})
        siblings = parent.children[node.tokens[0]]
        siblings[siblings.index(node)] = upper
        node.tokens, node.parent = node.tokens[at:], upper
        return upper

    def _remove_holder(self, node: PrefixNode, sequence: int) -> None:
        """Remove a holder of a node; the last one frees it."""
        node.holders.discard(sequence)
        if not self._shares_cells or not node.holders:
            self.cells -= len(node.tokens)
        if node.holders or node.parent is None:
            return
        siblings = node.parent.children[node.tokens[0]]
        siblings.remove(node)
        if not siblings:
            del node.parent.children[node.tokens[0]]
