"""The prefix tree: which tokens each executor sequence holds, what of it is shared, and what it costs in cells.

A radix tree over token ids, one root per namespace, so nothing is ever found across namespaces. A node owns a run
of tokens that its holders (executor sequence ids) have computed or forked. Two sequences that computed the same
tokens each for itself hold different cells, so siblings may begin alike. Pure accounting: knows nothing of
executors, requests or eviction.
"""

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from homeport.engines.text.invariant import require, require_value


@dataclass(eq=False, slots=True)
class PrefixNode:
    """A run of tokens behind `parent`, held by every sequence in `holders`. `children` are keyed by first token."""

    tokens: list[int]
    parent: "PrefixNode | None"
    holders: set[int]
    children: "dict[int, list[PrefixNode]]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """The longest known beginning of a prompt: `length` tokens, all of them inside or before `node`."""

    length: int
    depth: int  # tokens before `node`
    node: PrefixNode

    @property
    def holders(self) -> Collection[int]:
        """The sequences that hold these tokens, and perhaps more."""
        return self.node.holders


def common_length(left: Sequence[int], right: Sequence[int], limit: int) -> int:
    """How many leading tokens two sequences share, at most `limit`."""
    low, high = 0, min(len(left), len(right), limit)
    while low < high:  # slices compare in C: a bisection beats a loop over tokens
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class PrefixTree:
    """Accounts the tokens of sequences. `shares_cells`: a fork costs nothing; else each holder pays for its own."""

    def __init__(self, *, shares_cells: bool) -> None:
        self._shares_cells = shares_cells
        self._roots: dict[Hashable, PrefixNode] = {}
        self._tails: dict[int, PrefixNode] = {}
        self._lengths: dict[int, int] = {}
        self._names: dict[int, Hashable] = {}
        self.cells = 0

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._tails

    def length(self, sequence: int) -> int:
        """Tokens this sequence holds."""
        return self._lengths[sequence]

    def namespace(self, sequence: int) -> Hashable:
        """Where this sequence's tokens are found."""
        return self._names[sequence]

    def tokens(self, sequence: int) -> list[int]:
        """The tokens this sequence holds."""
        path = [node.tokens for node in self._path(sequence)]
        return [token for run in reversed(path) for token in run]

    def is_covered(self, sequence: int) -> bool:
        """Whether another sequence holds everything that this one does, in the same cells or their copies."""
        return len(self._tails[sequence].holders) > 1

    def own(self, sequence: int) -> int:
        """Cells that become free when this sequence goes."""
        if not self._shares_cells:
            return self._lengths[sequence]
        return sum(len(node.tokens) for node in self._path(sequence) if len(node.holders) == 1)

    def add(self, sequence: int, namespace: Hashable) -> None:
        """Begin an empty sequence."""
        require(sequence not in self._tails, "the sequence is in use")
        root = self._roots.setdefault(namespace, PrefixNode([], None, set()))
        root.holders.add(sequence)
        self._tails[sequence], self._lengths[sequence], self._names[sequence] = root, 0, namespace

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
        """Make a new sequence that begins with the first `n_tokens` of `source`."""
        self.add(target, self._names[source])
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
            parent = require_value(node.parent, "a path has no beginning")
            self._remove_holder(node, sequence)
            node = parent
        self._tails[sequence], self._lengths[sequence] = keep, n_tokens

    def remove(self, sequence: int) -> None:
        """Forget a sequence and what only it held."""
        self.trim(sequence, 0)
        namespace = self._names.pop(sequence)
        root = self._roots[namespace]
        root.holders.discard(sequence)
        del self._tails[sequence], self._lengths[sequence]
        if not root.holders:
            del self._roots[namespace]

    def match(
        self, namespace: Hashable, tokens: Sequence[int], limit: int, *, among: Collection[int] | None = None
    ) -> PrefixMatch | None:
        """The longest held beginning of `tokens`, at most `limit` long; None where nothing matches.

        `among`: count only beginnings that are all that one of these sequences holds.
        """
        root = self._roots.get(namespace)
        best: PrefixMatch | None = None
        pending = [(root, 0)] if root is not None and limit > 0 else []
        while pending:
            parent, depth = pending.pop()
            for node in parent.children.get(tokens[depth], ()):
                run = node.tokens
                found = common_length(run, tokens[depth : depth + len(run)], limit - depth)
                candidate = PrefixMatch(depth + found, depth, node)
                if (best is None or candidate.length > best.length) and self._is_whole(candidate, among):
                    best = candidate
                if found == len(run) and depth + found < limit:
                    pending.append((node, depth + found))
        return best

    def cells_of(self, sequences: Collection[int]) -> int:
        """Cells these sequences occupy together."""
        if not self._shares_cells:
            return sum(self._lengths[sequence] for sequence in sequences)
        members = set(sequences)
        return sum(len(node.tokens) for node in self._nodes() if not node.holders.isdisjoint(members))

    def held_tokens(self, match: PrefixMatch, sequences: set[int]) -> int:
        """How many tokens of a match stand in cells that one of `sequences` occupies."""
        node, stop, depth = match.node, match.length, match.depth
        while node.parent is not None and node.holders.isdisjoint(sequences):
            node, stop = node.parent, depth
            depth -= len(node.tokens)
        return stop

    def check_integrity(self) -> None:
        """Recount everything. Raises AssertionError where the books are wrong."""
        cells = 0
        for node in self._nodes():
            parent = require_value(node.parent, "a run hangs in the air")
            require(bool(node.holders), "tokens nobody holds")
            require(bool(node.tokens), "an empty run")
            require(node.holders <= parent.holders, "a path with a hole")
            cells += len(node.tokens) * (1 if self._shares_cells else len(node.holders))
        require(cells == self.cells, f"{cells} cells counted, {self.cells} booked")
        for sequence, length in self._lengths.items():
            run = sum(len(node.tokens) for node in self._path(sequence))
            require(run == length, f"sequence {sequence} holds {run} tokens, {length} booked")

    def _is_whole(self, match: PrefixMatch, among: Collection[int] | None) -> bool:
        """Whether one of `among` (None: anyone will do, however long) holds a match's tokens and no more."""
        return among is None or any(s in among and self._lengths[s] == match.length for s in match.holders)

    def _nodes(self) -> Iterator[PrefixNode]:
        """Every node but the roots."""
        pending = list(self._roots.values())
        while pending:
            for alike in pending.pop().children.values():
                yield from alike
                pending.extend(alike)

    def _path(self, sequence: int) -> Iterator[PrefixNode]:
        """The nodes of a sequence, last first."""
        node = self._tails[sequence]
        while node.parent is not None:
            yield node
            node = node.parent

    def _node_ending_at(self, sequence: int, n_tokens: int) -> PrefixNode:
        """The node of a sequence that ends after `n_tokens`, splitting one where need be."""
        node, end = self._tails[sequence], self._lengths[sequence]
        require(0 <= n_tokens <= end, "cut beyond the end")
        while node.parent is not None and end - len(node.tokens) >= n_tokens:
            end -= len(node.tokens)
            node = node.parent
        return node if end == n_tokens else self._split(node, len(node.tokens) - (end - n_tokens))

    def _split(self, node: PrefixNode, at: int) -> PrefixNode:
        """Put the first `at` tokens of a node into a new one above it."""
        parent = require_value(node.parent, "a root is never split")
        upper = PrefixNode(node.tokens[:at], parent, set(node.holders), {node.tokens[at]: [node]})
        alike = parent.children[node.tokens[0]]
        alike[alike.index(node)] = upper
        node.tokens, node.parent = node.tokens[at:], upper
        return upper

    def _remove_holder(self, node: PrefixNode, sequence: int) -> None:
        """Take a holder off a node; the last one frees it."""
        node.holders.discard(sequence)
        if not self._shares_cells or not node.holders:
            self.cells -= len(node.tokens)
        if node.holders or node.parent is None:
            return
        alike = node.parent.children[node.tokens[0]]
        alike.remove(node)
        if not alike:
            del node.parent.children[node.tokens[0]]
