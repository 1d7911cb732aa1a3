"""Block tables: policy, without what blocks contain."""

from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.text.block_tables import BlockTables

SIZE, N_BLOCKS = 4, 12


class Blocks:
    """Blocks of tokens, written and read through tables."""

    def __init__(self) -> None:
        self.contents = [[-1] * SIZE for _ in range(N_BLOCKS)]
        self.tables = BlockTables(N_BLOCKS, SIZE, self.copy)

    def copy(self, source: int, target: int) -> None:
        """Copy a block."""
        self.contents[target] = list(self.contents[source])

    def add(self, sequence: int, tokens: list[int]) -> bool:
        """Write tokens behind those that a sequence has; False without room."""
        start = self.tables.length(sequence)
        if not self.tables.extend(sequence, len(tokens)):
            return False
        for at, token in enumerate(tokens, start):
            self.contents[self.tables.table(sequence)[at // SIZE]][at % SIZE] = token
        return True

    def read(self, sequence: int) -> list[int]:
        """Return a sequence's tokens."""
        tokens = [token for block in self.tables.table(sequence) for token in self.contents[block]]
        return tokens[: self.tables.length(sequence)]


def test_sequences_that_begin_alike_share_blocks() -> None:
    """A fork takes no block, and only the block that both would write is copied."""
    blocks = Blocks()
    blocks.add(0, [1, 2, 3, 4, 5, 6])
    blocks.tables.fork(0, 1, 6)
    assert blocks.tables.free == N_BLOCKS - 2
    blocks.add(1, [7])
    assert blocks.tables.free == N_BLOCKS - 3
    blocks.add(0, [8])
    assert blocks.tables.free == N_BLOCKS - 3
    assert (blocks.read(0), blocks.read(1)) == ([1, 2, 3, 4, 5, 6, 8], [1, 2, 3, 4, 5, 6, 7])


def test_without_room_nothing_changes() -> None:
    """Tokens for which there is no block are refused, and the sequence stays as it is."""
    blocks = Blocks()
    assert blocks.add(0, list(range(N_BLOCKS * SIZE - 1)))
    assert not blocks.add(1, [1])
    assert not blocks.add(0, [1, 2])
    assert blocks.add(0, [1])
    blocks.tables.fork(0, 1, SIZE + 1)
    assert not blocks.add(1, [7]), "its last block is shared, and there is none for a copy"
    assert blocks.read(1) == [0, 1, 2, 3, 4]


def test_blocks_that_were_used_last_are_used_first() -> None:
    """Blocks that were never used take no memory, so they are taken last."""
    blocks = Blocks()
    blocks.add(0, [1] * SIZE)
    first = list(blocks.tables.table(0))
    blocks.tables.trim(0, 0)
    blocks.add(1, [1] * SIZE)
    assert list(blocks.tables.table(1)) == first


Step = tuple[str, int, int]


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "trim", "fork", "release"]), st.integers(0, 3), st.integers(0, 15)),
        max_size=40,
    )
)
def test_each_sequence_reads_what_it_wrote(steps: list[Step]) -> None:
    """Whatever is added, cut, shared and released, each sequence has its own tokens, and no block is lost."""
    blocks, expected = Blocks(), {sequence: list[int]() for sequence in range(4)}
    for number, (kind, sequence, count) in enumerate(steps):
        if kind == "add":
            if blocks.add(sequence, [number] * count):
                expected[sequence] += [number] * count
        elif kind == "fork":
            target = (sequence + 1) % 4
            blocks.tables.trim(target, 0)
            blocks.tables.fork(sequence, target, count)
            expected[target] = expected[sequence][:count]
        else:
            kept = count if kind == "trim" else 0
            blocks.tables.trim(sequence, kept)
            expected[sequence] = expected[sequence][:kept]
        assert [blocks.read(each) for each in expected] == list(expected.values())
    for sequence in expected:
        blocks.tables.trim(sequence, 0)
    assert blocks.tables.free == N_BLOCKS
