from pathlib import Path

import numpy as np
import pytest

from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary, NamedDrawing, write_table
from tests.engines.images.pipelines.clipart.scenes import VOCABULARY

DRAWINGS = [
    NamedDrawing("cat", "猫", "cat", ("kitten",), ("猫咪",), 0.85),
    NamedDrawing("Sun", "太阳", "sun", (), (), 1.0, True),
]


def test_a_table_is_loaded_as_it_was_written(tmp_path: Path) -> None:
    """Names, sizes and directions survive, and the same input gives the same bytes."""
    vectors = np.random.default_rng(1).standard_normal((3, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    owners = np.array([0, 0, 1], np.int16)
    for name in ("one", "two"):
        write_table(tmp_path / name, DRAWINGS, vectors, owners, "free")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    loaded = DrawingVocabulary.load(tmp_path / "one")
    assert list(loaded.drawings) == DRAWINGS
    for vector, owner in zip(vectors, owners, strict=True):
        found, cosine = loaded.nearest(vector)
        assert found == DRAWINGS[owner]
        assert cosine > 0.95


def test_names_are_found_in_both_languages() -> None:
    """By label and further name, whatever the case of the label."""
    vocabulary = DrawingVocabulary(DRAWINGS, np.eye(2, 384, dtype=np.float32), np.arange(2, dtype=np.int16))
    assert vocabulary.english("kitten") is vocabulary.chinese("猫咪") is DRAWINGS[0]
    assert vocabulary.english("sun") is vocabulary.chinese("太阳") is DRAWINGS[1]
    assert vocabulary.english("dog") is None


@pytest.mark.parametrize(
    ("english", "chinese", "label"),
    [("car", "轿车", "automobile"), ("sofa", "沙发", "couch and lamp"), ("apple", "苹果", "red apple")],
)
def test_everyday_words_are_names(english: str, chinese: str, label: str) -> None:
    """The table of the package knows words that no emoji has as its label."""
    for found in (VOCABULARY.english(english), VOCABULARY.chinese(chinese)):
        assert found is not None
        assert found.english == label


def test_the_package_has_names_in_two_languages_and_a_vector_for_each() -> None:
    """No drawing lacks a name, a caption or a size, and no further name is a single letter of a word."""
    assert len(VOCABULARY.drawings) > 1000
    for each in VOCABULARY.drawings:
        assert all((each.english, each.chinese, each.caption))
        assert 0.5 <= each.scale <= 1.5
        assert all(len(name) > 1 for name in each.english_names)
