from pathlib import Path

import numpy as np
import pytest

from homeport.domain.errors import EngineFailed
from homeport.engines.music.tunes.network import WINDOW, Decoder, TuneModel, load
from tests.engines.music.tunes import tiny_model

PLACE = (0, 8, 1, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TuneModel:
    return load(tiny_model.write(tmp_path_factory.mktemp("model") / "composer.npz"))


def test_scores_depend_on_earlier_steps(model: TuneModel) -> None:
    """The same token after another one has other scores, and equal histories have equal ones."""
    scores = []
    for first in (5, 6, 5):
        decoder = Decoder(model, (0, 0, 0))
        decoder.step(first, PLACE)
        scores.append(decoder.step(7, PLACE))
    assert scores[0].shape == (len(model.vocabulary),)
    assert np.array_equal(scores[0], scores[2])
    assert not np.allclose(scores[0], scores[1])


@pytest.mark.parametrize("index", range(len(PLACE)))
def test_each_part_of_the_place_counts(model: TuneModel, index: int) -> None:
    """Another tick, bar, section or echo gives other scores."""
    other = tuple(value + 1 if number == index else value for number, value in enumerate(PLACE))
    heading = (0, 0, 0)
    assert not np.allclose(Decoder(model, heading).step(5, PLACE), Decoder(model, heading).step(5, other))


@pytest.mark.parametrize("heading", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_the_heading_counts(model: TuneModel, heading: tuple[int, int, int]) -> None:
    """Another style, metre or mode gives other scores."""
    assert not np.allclose(Decoder(model, (0, 0, 0)).step(5, PLACE), Decoder(model, heading).step(5, PLACE))


def test_a_sequence_may_be_longer_than_what_is_kept(model: TuneModel) -> None:
    """Steps that left the window have no effect any more, wherever their place in memory is reused."""
    scores = []
    for first in (5, 6):
        decoder = Decoder(model, (0, 0, 0))
        tokens = [first] * 300 + [7 + index % 9 for index in range(3 * WINDOW)]
        scores.append([decoder.step(token, PLACE) for token in tokens][-1])
    assert np.allclose(scores[0], scores[1], atol=1e-4)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"no archive"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """The error names the file and says what to do."""
    path = tmp_path / "composer.npz"
    path.write_bytes(content)
    with pytest.raises(EngineFailed, match=r"composer\.npz .* Install the model again"):
        load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """It is the same error."""
    with pytest.raises(EngineFailed, match=r"composer\.npz"):
        load(tmp_path / "composer.npz")
