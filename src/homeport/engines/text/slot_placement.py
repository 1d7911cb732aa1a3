"""Which ids to use so that those in use adjoin: executors with a lane per sequence compute a run of ids in one pass.

Pure choice over sets of ids; knows nothing of what is moved, or whether moving is worth it.
"""

from collections.abc import Collection


def choose_slot(
    active: Collection[int], free: Collection[int], idle: Collection[int], others: Collection[int] = ()
) -> int | None:
    """The id to take: with the most neighbours in use, better a free one than an idle one, the lowest; None: no id.

    `others` are in use and never computed together with these: where no neighbour is to be had, far from them.
    """

    def rank(id: int) -> tuple[int, bool, int, int]:
        neighbours = (id - 1 in active) + (id + 1 in active)
        room = 0 if neighbours else min((abs(id - other) for other in others), default=0)
        return -neighbours, id in idle, -room, id

    return min((*free, *idle), key=rank, default=None)


def find_slot_move(active: Collection[int], vacant: Collection[int]) -> tuple[int, int] | None:
    """An id in use and the vacant one it should move to; None where those in use adjoin.

    The end of the shortest run moves next to the longest: each move makes the runs more unequal, so they end as one.
    """
    runs = _runs(active)
    if len(runs) < 2:
        return None
    shortest, longest = min(runs, key=len), max(reversed(runs), key=len)
    beside = [id for id in (longest.start - 1, longest.stop) if id in vacant]
    if shortest == longest or not beside:
        return None
    # Whichever end is nearer: a hole between the two is filled.
    target = min(beside, key=lambda id: abs(id - shortest.start))
    return (shortest.start if target > shortest.start else shortest.stop - 1), target


def _runs(ids: Collection[int]) -> list[range]:
    """Adjoining ids together, in order."""
    runs: list[range] = []
    for id in sorted(ids):
        if runs and runs[-1].stop == id:
            runs[-1] = range(runs[-1].start, id + 1)
        else:
            runs.append(range(id, id + 1))
    return runs
