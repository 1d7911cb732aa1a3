"""The fake executor: exact, and strict with its callers."""

import numpy as np
import pytest

from homeport.domain.errors import EngineFailed
from homeport.engines.text.executor import TokenBatch
from tests.engines.text.fake_executor import IM_END, SIZE, START, FakeExecutor
from tests.engines.text.simulation import traits


def _batch(runs: dict[int, tuple[int, list[int]]], wanted: list[int]) -> TokenBatch:
    """`runs[sequence]` is (first position, tokens)."""
    tokens = [token for _, run in runs.values() for token in run]
    positions = [first + index for first, run in runs.values() for index in range(len(run))]
    sequences = [sequence for sequence, (_, run) in runs.items() for _ in run]
    columns = [np.array(column, dtype=np.int32) for column in (tokens, positions, sequences, wanted)]
    return TokenBatch(columns[0], columns[1], columns[2], columns[3])


def test_logits_depend_on_the_sequence_alone() -> None:
    """Alone, in company, in one piece, in two or behind a fork: the same float for float."""
    prompt = [1, 2, 3, 4]
    expected = FakeExecutor(traits()).next_logits(prompt)
    together = FakeExecutor(traits())
    rows = together.forward(_batch({0: (0, [9, 9]), 1: (0, prompt)}, [1, 5]))
    assert rows.shape == (2, SIZE)
    assert (rows[1] == expected).all()
    assert not (rows[0] == expected).all()
    pieces = FakeExecutor(traits())
    pieces.forward(_batch({0: (0, prompt[:3])}, []))
    pieces.fork(0, 1, 2)
    assert (pieces.forward(_batch({1: (2, prompt[2:])}, [1]))[0] == expected).all()


def test_cells_are_counted_as_the_traits_say() -> None:
    """A fork is free where cells are shared and costs its length where not; release and trim give back."""
    for shares, after_fork in ((True, 4), (False, 7)):
        executor = FakeExecutor(traits(shares_cells=shares))
        executor.forward(_batch({0: (0, [1, 2, 3, 4])}, []))
        executor.fork(0, 1, 3)
        assert executor.cells_used == after_fork
        executor.trim(0, 3)
        executor.release([1])
        assert executor.cells_used == 3
        executor.release([0])
        assert executor.cells_used == 0


def test_script_decides_the_answer() -> None:
    """Behind a scripted prompt ending the scripted bytes are the likeliest by far, then the end."""
    executor = FakeExecutor(traits(), script={b"hello": b" wor"})
    tokens = [START, *b"why, hello"]
    said = []
    for _ in range(5):
        said.append(int(executor.next_logits(tokens).argmax()))
        tokens.append(said[-1])
    assert said == [*b" wor", IM_END]


def test_tokenise_reads_control_tokens_only_where_asked() -> None:
    """The name of a control token is one id as markup and eleven bytes as text."""
    executor = FakeExecutor(traits())
    assert executor.tokenize("a<|im_end|>é", special=True) == [97, IM_END, 0xC3, 0xA9]
    assert executor.tokenize("<|im_end|>", special=False) == list(b"<|im_end|>")


def test_poison_fails_the_batch() -> None:
    """A batch that holds the poisoned text raises EngineFailed."""
    executor = FakeExecutor(traits(), poison=b"bad")
    executor.forward(_batch({0: (0, list(b"good"))}, []))
    with pytest.raises(EngineFailed):
        executor.forward(_batch({1: (0, list(b"bad"))}, []))


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [
        (_batch({0: (1, [1])}, []), "position 1 after 0 tokens"),
        (_batch({9: (0, [1])}, []), "there is no sequence 9"),
        (_batch({0: (0, [999])}, []), "there is no token 999"),
        (_batch({0: (0, [1, 2])}, [1, 0]), "must ascend"),
        (_batch({0: (0, [1] * 65)}, []), "a batch of 65 tokens"),
        (_batch({0: (0, [1] * 21), 1: (0, [1] * 20)}, []), "more tokens than cells"),
        (_batch({0: (0, [1] * 31)}, []), "outgrew the window"),
    ],
)
def test_breaches_are_called_bugs(batch: TokenBatch, complaint: str) -> None:
    """A caller that breaks the seam's rules is told so at once."""
    executor = FakeExecutor(traits(window=30, cells=40))
    with pytest.raises(AssertionError, match=f"this is a bug: .*{complaint}"):
        executor.forward(batch)
