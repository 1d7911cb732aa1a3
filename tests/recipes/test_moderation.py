"""The training data of the moderation head, its model card, and the conversion of tox-block."""

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeport.domain.errors import Unavailable
from homeport.engines.moderation.head import TRAINED, is_young
from homeport.models.conversions import toxblock
from recipes.moderation import examples
from recipes.moderation.__main__ import CARD, stamps
from recipes.moderation.measures import measure

KNOWN, HELD = examples.read("train"), examples.read("test")


def grams(text: str) -> set[str]:
    """All sequences of five characters."""
    plain = "".join(text.lower().split())
    return {plain[at : at + 5] for at in range(max(1, len(plain) - 4))}


def test_test_lines_share_no_template_with_training_lines() -> None:
    """No held-out line shares much text with a training line, and no line occurs twice."""
    known = [(each, grams(each.text)) for each in KNOWN]
    for held in HELD:
        own = grams(held.text)
        close = [each.text for each, other in known if len(own & other) > 0.4 * min(len(own), len(other))]
        assert not close, (held.text, close)
    texts = [each.text for each in (*KNOWN, *HELD)]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("language", examples.LANGUAGES)
def test_every_category_has_training_and_test_examples(language: str) -> None:
    """Each language has a minimum of lines for every category, and of harmless lines."""
    for split, least in ((KNOWN, 12), (HELD, 5)):
        here = [each for each in split if each.language == language]
        for category in TRAINED:
            assert sum(category in each.labels for each in here) >= least, category
        assert sum(not each.labels for each in here) >= 60


def test_no_sexual_line_mentions_young_people() -> None:
    """No line with the label `sexual` has a word for a young person, and no line has the untrained label."""
    assert not [each.text for each in (*KNOWN, *HELD) if "sexual" in each.labels and is_young(each.text)]
    assert "sexual/minors" not in {label for each in (*KNOWN, *HELD) for label in each.labels}


def test_labels_imply_broader_labels() -> None:
    """A threat against a group is also hate and violence; instructions for self-harm are also self-harm."""
    for each in KNOWN:
        if "hate/threatening" in each.labels:
            assert {"hate", "violence"} <= each.labels
        if "self-harm/instructions" in each.labels:
            assert "self-harm" in each.labels


def test_mixed_lines_keep_their_fold_and_their_labels() -> None:
    """A line among others keeps its labels; its neighbors are harmless and of the same fold and language."""
    mixed = examples.among_others(KNOWN)
    assert mixed == examples.among_others(KNOWN)
    fold = {each.text: each.fold for each in mixed[: len(KNOWN)]}
    assert len(set(fold.values())) == examples.FOLDS
    for each in mixed[len(KNOWN) : len(KNOWN) + 200]:
        inside = [other for other in KNOWN if other.text in each.text and len(other.text) > 8]
        assert all(other.language == each.language for other in inside)
        assert all(other.labels <= each.labels for other in inside)


def test_the_card_is_of_this_head_and_these_lines() -> None:
    """The hashes on the card are those of the current files; if not, run `python -m recipes.moderation`."""
    card = CARD.read_text(encoding="utf-8")
    assert [name for name, stamp in stamps().items() if stamp not in card] == []


def test_measures() -> None:
    """Precision, recall and area under the curve of a small case are as counted by hand."""
    found = measure(np.array([0.9, 0.6, 0.4, 0.1], np.float32), np.array([True, False, True, False]), 0.5)
    assert (found.positives, found.negatives, found.precision, found.recall, found.auc) == (2, 2, 0.5, 0.5, 0.75)
    assert measure(np.array([0.1], np.float32), np.array([True]), 0.5).precision is None


class Keras:
    """Replaces the package's own classes in a pickle."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def test_the_words_are_read_without_running_code(tmp_path: Path) -> None:
    """Arrays are copied unchanged and words by number; a class that the pickle names is never called."""
    network = bytearray(12_591_448)
    network[:8] = b"\x89HDF\r\n\x1a\n"
    struct.pack_into("<f", network, 10280, 1.5)
    words = {"the": 1, "two\nlines": 2, "far": toxblock.WORDS}
    pickled = pickle.dumps(Keras(tokenizer=Keras(word_index=words, bad=Path("x"))))
    (tmp_path / "both").write_bytes(bytes(network) + pickled)
    toxblock.convert(tmp_path / "both", tmp_path / "made")
    made = (tmp_path / "made").read_bytes()
    (size,) = struct.unpack_from("<Q", made)
    assert b'"words":"the\\n\\n' in made[8 : 8 + size]
    assert b"far" not in made[8 : 8 + size]
    assert struct.unpack_from("<f", made, 8 + size) == (1.5,)


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(12_591_440) + b"odd"])
def test_another_source_is_refused(tmp_path: Path, data: bytes) -> None:
    """Other data than the two files of the package are refused."""
    (tmp_path / "odd").write_bytes(data)
    with pytest.raises(Unavailable, match="tox-block"):
        toxblock.convert(tmp_path / "odd", tmp_path / "made")
