"""Chooses slot ids so that active ones are adjacent: executors with KV streams compute a run of ids in one pass.

Pure choice over sets of ids; knows nothing of what a move costs.
"""

from collections.abc import Collection


def choose_slot(
    active: Collection[int], free: Collection[int], idle: Collection[int], others: Collection[int] = ()
) -> int | None:
    """Return the id with the most active neighbors; then a free one before an idle one, then the lowest; None: no id.

    `others` are active but never computed together with `active`: an id without neighbors is chosen far from them.
    """

    def rank(id: int) -> tuple[int, bool, int, int]:
        neighbors = (id - 1 in active) + (id + 1 in active)
        distance = 0 if neighbors else min((abs(id - other) for other in others), default=0)
        return -neighbors, id in idle, -distance, id

    return min((*free, *idle), key=rank, default=None)


def find_slot_move(active: Collection[int], vacant: Collection[int]) -> tuple[int, int] | None:
    """Return an active id and the vacant one it should move to; None if the active ones are adjacent.

    The end of the shortest run moves next to the longest: each move makes the runs more unequal, until one is left.
    """
    runs = _runs(active)
    if len(runs) < 2:
        return None
    shortest, longest = min(runs, key=len), max(reversed(runs), key=len)
    adjacent = [id for id in (longest.start - 1, longest.stop) if id in vacant]
    if shortest == longest or not adjacent:
        return None
    # The nearer end, so that a gap between the two runs is filled.
    target = min(adjacent, key=lambda id: abs(id - shortest.start))
    return (shortest.start if target > shortest.start else shortest.stop - 1), target


def _runs(ids: Collection[int]) -> list[range]:
    """Return the runs of adjacent ids, in order."""
    runs: list[range] = []
    for id in sorted(ids):
        if runs and runs[-1].stop == id:
            runs[-1] = range(runs[-1].start, id + 1)
        else:
            runs.append(range(id, id + 1))
    return runs
