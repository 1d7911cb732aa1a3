"""The fake executor is exact, and strict with its callers."""

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
    """Alone, with others, in one piece, in two or after a fork, the logits are identical."""
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
    """A fork is free if cells are shared and costs its length if not; release and trim free cells."""
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
    """After a scripted prompt ending the scripted bytes are by far the likeliest, then the end."""
    executor = FakeExecutor(traits(), script={b"hello": b" wor"})
    tokens = [START, *b"why, hello"]
    answer = []
    for _ in range(5):
        answer.append(int(executor.next_logits(tokens).argmax()))
        tokens.append(answer[-1])
    assert answer == [*b" wor", IM_END]


def test_control_tokens_are_recognized_only_if_asked() -> None:
    """The name of a control token is one id with `special` and ten bytes without."""
    executor = FakeExecutor(traits())
    assert executor.tokenize("a<|im_end|>é", special=True) == [97, IM_END, 0xC3, 0xA9]
    assert executor.tokenize("<|im_end|>", special=False) == list(b"<|im_end|>")


def test_poison_fails_the_batch() -> None:
    """A batch with the poisoned text raises EngineFailed."""
    executor = FakeExecutor(traits(), poison=b"bad")
    executor.forward(_batch({0: (0, list(b"good"))}, []))
    with pytest.raises(EngineFailed):
        executor.forward(_batch({1: (0, list(b"bad"))}, []))


@pytest.mark.parametrize(
    ("batch", "message"),
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
def test_violations_are_called_bugs(batch: TokenBatch, message: str) -> None:
    """A caller that violates the interface's rules gets an AssertionError at once."""
    executor = FakeExecutor(traits(window=30, cells=40))
    with pytest.raises(AssertionError, match=f"this is a bug: .*{message}"):
        executor.forward(batch)
