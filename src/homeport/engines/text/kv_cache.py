"""Allocates sequence ids and cells, retains finished sequences for later prompts, and evicts them if room is short.

Each id of the executor is free, active (of a running sequence) or idle (of a finished one, its KV retained for prompts
with the same prefix). If ids are short, the least recently used idle sequence is evicted; if cells are short, the one
that frees most among the less recently used half. A sequence larger than the retention limit is cut to that limit and
not evicted whole. Every change is recorded in the prefix tree and made in the executor at once, in the step thread.
Knows nothing of requests.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence

from homeport.engines.text.assertions import require, require_value
from homeport.engines.text.executor import KVMemory
from homeport.engines.text.media.blocks import cut_outside
from homeport.engines.text.prefix_tree import PrefixMatch, PrefixTree
from homeport.engines.text.slot_compaction import choose_slot, find_slot_move


def single_kind(_: Hashable) -> Hashable:
    """Return the same kind for every namespace: all sequences are computed together."""
    return None


class KVCache:
    """Allocates the executor's KV. `retain`: maximum cells for finished sequences (None: no limit).

    `kind`: from a namespace to its kind; only sequences of one kind are computed together.
    """

    def __init__(
        self, memory: KVMemory, *, retain: int | None = None, kind: Callable[[Hashable], Hashable] = single_kind
    ) -> None:
        self._kind = kind
        self._memory = memory
        self._traits = memory.traits
        self._retain = retain
        self._tree = PrefixTree(shares_cells=self._traits.shares_cells)
        # If each sequence has a KV stream, sequences of adjacent ids are computed together.
        self._prefers_adjacent = self._traits.can_trim and not self._traits.shares_cells
        self._free = set(range(self._traits.sequences))
        self._active: set[int] = set()
        self._idle: dict[int, None] = {}  # least recently used first
        self._reserved = 0

    @property
    def can_fork(self) -> bool:
        """Whether a prefix of one sequence can be copied to another."""
        return self._traits.can_trim

    @property
    def running_cells(self) -> int:
        """Cells of running sequences; all other cells are free or can be freed."""
        return self._tree.cells_of(self._active)

    @property
    def cells(self) -> int:
        """Cells in use, idle sequences included."""
        return self._tree.cells

    @property
    def available(self) -> int:
        """Cells neither in use nor reserved."""
        return self._traits.cells - self._tree.cells - self._reserved

    def length(self, sequence: int) -> int:
        """Return the number of tokens a sequence holds."""
        return self._tree.length(sequence)

    def match(self, namespace: Hashable, tokens: Sequence[int], limit: int) -> PrefixMatch | None:
        """Return the longest prefix of `tokens` (at most `limit`) that `allocate` can reuse; None if there is none."""
        # An executor that cannot trim can only continue a sequence as it is.
        among = None if self._traits.can_trim else self._idle
        match = self._tree.match(namespace, tokens, limit, among=among)
        if match is None or self._traits.cuts_media:
            return match
        length = cut_outside(tokens, match.length)
        return match if length == match.length else self._tree.match(namespace, tokens, length, among=among)

    def cost(self, tokens: Sequence[int], match: PrefixMatch | None) -> int:
        """Return the cells that a sequence adds when it starts from a match and is computed to its end."""
        shared = self._tree.held_tokens(match, self._active) if match and self._traits.shares_cells else 0
        return len(tokens) - shared

    def allocate(self, namespace: Hashable, match: PrefixMatch | None) -> int | None:
        """Return an active sequence with the match's tokens (or none, if a copy has no room); None if no id is left."""
        if match is None:
            return self._allocate_empty(namespace)
        exact = self._exact_idle_match(match)
        if exact is not None:
            return self._activate_idle(exact)
        source = min(match.holders, key=lambda sequence: sequence in self._idle)
        target = self._take_id(namespace, keep=source) if self._can_copy(match.length, source) else None
        if target is not None:
            self._fork(source, target, match.length)
            return target
        if source not in self._idle:
            return self._allocate_empty(namespace)
        self._tree.trim(source, match.length)
        self._memory.trim(source, match.length)
        return self._activate_idle(source)

    def fork_active(self, source: int) -> int | None:
        """Return a second active sequence with all tokens of `source`; None if no id or cells are left."""
        length = self._tree.length(source)
        if not self._traits.can_trim or not self._can_copy(length, source):
            return None
        target = self._take_id(self._tree.namespace(source), keep=source)
        if target is not None:
            self._fork(source, target, length)
        return target

    def reserve(self, n_tokens: int) -> bool:
        """Reserve cells for tokens to be computed, evicting idle sequences if needed; False if there is no room."""
        if not self._make_room(n_tokens, keep=None):
            return False
        self._reserved += n_tokens
        return True

    def clear_reservations(self, drafted: int = 0) -> None:
        """Drop all reservations except `drafted` cells: `extend` has recorded the other computed tokens."""
        self._reserved = drafted

    def confirm(self, sequence: int, tokens: Sequence[int], drafted: int) -> None:
        """Record `tokens`, the accepted ones of `drafted` tokens computed after a sequence's end; free the others."""
        self._reserved -= drafted
        self._tree.extend(sequence, tokens)
        if len(tokens) < drafted:
            self._memory.trim(sequence, self._tree.length(sequence))

    def extend(self, sequence: int, tokens: Sequence[int]) -> None:
        """Record tokens that a forward pass computed."""
        self._tree.extend(sequence, tokens)

    def retire(self, sequence: int) -> None:
        """Retain a finished sequence for prompts with the same prefix, within the limit."""
        if self._tree.length(sequence) == 0 or self._tree.is_covered(sequence):
            self.drop([sequence])
            return
        if self._retain is not None and self._tree.length(sequence) > self._retain > 0 and self._traits.can_trim:
            length = self._retain if self._traits.cuts_media else cut_outside(self._tree.tokens(sequence), self._retain)
            if not length:
                self.drop([sequence])
                return
            self._tree.trim(sequence, length)
            self._memory.trim(sequence, length)
        self._active.discard(sequence)
        self._idle[sequence] = None
        self._shrink()

    def drop(self, sequences: Iterable[int]) -> None:
        """Empty sequences at once and retain nothing."""
        dropped = list(sequences)
        for sequence in dropped:
            self._tree.remove(sequence)
            self._active.discard(sequence)
            self._idle.pop(sequence, None)
            self._free.add(sequence)
        if dropped:
            self._memory.release(dropped)

    def compact(self) -> tuple[int, int] | None:
        """Move one running sequence next to others if they are then computed together; return its old and new id.

        Call it between steps, once per step: a move costs about as much as one step gains by it.
        """
        vacant = (*self._free, *self._idle)
        kinds = self._kinds() if self._prefers_adjacent else {}
        first_move = next((move for active in kinds.values() if (move := find_slot_move(active, vacant))), None)
        if first_move is None:
            return None
        source, target = first_move
        if target in self._idle:
            spare = min(self._free, default=None)
            if spare is None or self._tree.length(target) > self.available:
                return None
            self._relocate(target, spare)
        if self._tree.length(source) > self.available:
            return None
        self._relocate(source, target)
        return source, target

    def check_integrity(self) -> None:
        """Recount cells and ids. Raises AssertionError if a count is wrong."""
        self._tree.check_integrity()
        require(self._tree.cells <= self._traits.cells, "more cells are recorded than there are")
        ids = sorted([*self._free, *self._active, *self._idle])
        require(ids == list(range(self._traits.sequences)), "a sequence id is missing or duplicated")
        for sequence in ids:
            in_use = sequence in self._active or sequence in self._idle
            require(in_use == (sequence in self._tree), "ids and tree disagree")

    def _exact_idle_match(self, match: PrefixMatch) -> int | None:
        """Return an idle sequence that holds exactly the match, so that continuing it loses nothing."""
        holders = (s for s in match.holders if s in self._idle and self._tree.length(s) == match.length)
        return next(holders, None)

    def _can_copy(self, n_tokens: int, source: int) -> bool:
        return self._make_room(0 if self._traits.shares_cells else n_tokens, keep=source)

    def _fork(self, source: int, target: int, n_tokens: int) -> None:
        if source in self._idle:
            self._idle[source] = self._idle.pop(source)  # used just now
        self._tree.fork(source, target, n_tokens)
        self._memory.fork(source, target, n_tokens)
        self._active.add(target)

    def _allocate_empty(self, namespace: Hashable) -> int | None:
        sequence = self._take_id(namespace, keep=None)
        if sequence is not None:
            self._tree.add(sequence, namespace)
            self._active.add(sequence)
        return sequence

    def _activate_idle(self, sequence: int) -> int:
        del self._idle[sequence]
        self._active.add(sequence)
        return sequence

    def _kinds(self) -> dict[Hashable, set[int]]:
        """Return the active sequences by kind."""
        kinds: dict[Hashable, set[int]] = {}
        for sequence in self._active:
            kinds.setdefault(self._kind(self._tree.namespace(sequence)), set()).add(sequence)
        return kinds

    def _take_id(self, namespace: Hashable, keep: int | None) -> int | None:
        """Return a free id next to active ones; if none is free, evict an idle sequence other than `keep`."""
        if not self._free:
            self._evict(keep, by_size=False)
        if not self._free:
            return None
        room = self.available if self._prefers_adjacent else -1  # moving an idle sequence copies it before freeing it
        movable = [id for id in self._idle if id != keep and self._tree.length(id) <= room]
        active = self._kinds().get(self._kind(namespace), set())
        id = require_value(choose_slot(active, self._free, movable, self._active - active), "no free id was chosen")
        if id in self._idle:
            self._relocate(id, min(self._free))
        self._free.remove(id)
        return id

    def _relocate(self, source: int, target: int) -> None:
        """Move a sequence to a free id."""
        length = self._tree.length(source)
        self._free.remove(target)
        self._tree.fork(source, target, length)
        if length:  # 0 before its first step
            self._memory.fork(source, target, length)
        if source in self._active:
            self._active.add(target)
        else:  # the order of use is unchanged
            self._idle = {target if id == source else id: None for id in self._idle}
        self._active.discard(source)
        self._tree.remove(source)
        self._memory.release([source])
        self._free.add(source)

    def _make_room(self, n_tokens: int, keep: int | None) -> bool:
        while self.available < n_tokens:
            if not self._evict(keep):
                return False
        return True

    def _evict(self, keep: int | None, *, by_size: bool = True) -> bool:
        idle = [sequence for sequence in self._idle if sequence != keep]
        if not idle:
            return False
        older = idle[: (len(idle) + 1) // 2] if by_size else idle[:1]
        self.drop([max(older, key=self._tree.exclusive_cells)])  # of equal ones the first, the least recently used
        return True

    def _shrink(self) -> None:
        while self._retain is not None and self._idle and self._tree.cells - self.running_cells > self._retain:
            self._evict(None)
