"""Vectors by both sets of kernels, compared with numpy and with each other."""

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from homeport.domain.errors import Unavailable
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EmbeddingEncoder, EncoderOptions
from tests.samples import tiny_encoders as tiny


def opened(weights: Path, library: Path | None, window: int | None = None) -> EmbeddingEncoder:
    return encoder.load(weights, EncoderOptions(window=window, batch=64, sequences=8, threads=1, library=library))


@pytest.mark.parametrize(("pooling", "name"), [(tiny.MEAN, "mean"), (tiny.CLS, "cls")])
def test_vectors_are_those_of_the_weights(tmp_path: Path, library: Path | None, pooling: int, name: str) -> None:
    """A BERT's vectors equal those that numpy computes from its weights, with the file's pooling."""
    weights = tiny.bert(tmp_path / "tiny.gguf", pooling=pooling)
    model = opened(tmp_path / "tiny.gguf", library)
    inputs = [tiny.tokens("the", "cat"), tiny.tokens("the", "dog", "the", "cat", "dog")]
    rows = model.encode(inputs)
    assert (model.pooling, model.dimensions, rows.shape) == (name, tiny.WIDTH, (2, tiny.WIDTH))
    for ids, row in zip(inputs, rows, strict=True):
        states = tiny.hidden(weights, ids)
        expected = states.mean(0) if pooling == tiny.MEAN else states[0]
        assert row @ expected / np.linalg.norm(expected) == pytest.approx(1, abs=1e-4)
        assert np.linalg.norm(row) == pytest.approx(1, abs=1e-6)
    model.close()


def test_text_is_tokenized_with_the_tokens_around(tmp_path: Path, library: Path | None) -> None:
    """Texts are tokenized with or without the tokens around them; these and the control tokens are known."""
    tiny.bert(tmp_path / "tiny.gguf")
    model = opened(tmp_path / "tiny.gguf", library)
    assert model.tokenize("the  cat") == tiny.tokens("the", "cat")
    assert model.tokenize("the cat", whole=False) == tiny.tokens("the", "cat")[1:-1]
    assert model.special_tokens() == ([0], [2])
    assert [model.is_control(token) for token in (0, 2, 5)] == [True, True, False]
    assert model.tokenize("<s>")[1:-1] != [0], "what a caller writes is never a control token"
    model.close()


@pytest.mark.parametrize("make", [tiny.bert, tiny.causal])
def test_other_sequences_of_a_batch_change_nothing(tmp_path: Path, library: Path | None, make: object) -> None:
    """A sequence has the same vector alone and with others, in encoders and in decoders with a cache."""
    assert callable(make)
    make(tmp_path / "tiny.gguf")
    model = opened(tmp_path / "tiny.gguf", library)
    inputs = [tiny.tokens(*["the", "cat", "dog"][: 1 + at % 3] * (1 + at % 2)) for at in range(8)]
    together = model.encode(inputs)
    alone = np.concatenate([model.encode([ids]) for ids in inputs])
    assert np.abs(together - alone).max() < 2e-3
    assert np.abs(model.encode(inputs) - together).max() < 1e-6
    model.close()


@pytest.mark.parametrize("tokens", [2, 47, 48, 49, 63, 64, 65])
def test_a_vector_is_the_same_with_every_kind_of_attention(tmp_path: Path, library: Path | None, tokens: int) -> None:
    """Short batches, padded ones and longer ones give the vectors that llama.cpp gives by default."""
    tiny.bert(tmp_path / "tiny.gguf", window=128)
    options = EncoderOptions(batch=128, sequences=2, threads=1, library=library)
    plain = encoder.load(tmp_path / "tiny.gguf", structs.replace(options, is_plain=True))
    chosen = encoder.load(tmp_path / "tiny.gguf", options)
    alone = [tiny.tokens(*["the", "cat", "dog"][: 1 + tokens % 3] * tokens)[:tokens]]
    halves = [alone[0][: tokens // 2], alone[0][tokens // 2 :]]
    for inputs in (alone, halves):
        found, expected = chosen.encode(inputs), plain.encode(inputs)
        assert found.shape == expected.shape == (len(inputs), tiny.WIDTH)
        assert np.abs(found - expected).max() < 2e-3
    chosen.close()
    plain.close()


@pytest.mark.parametrize("make", [tiny.bert, tiny.causal])
@pytest.mark.parametrize("window", [128, 2600])
def test_longer_sequences_than_a_batch_are_computed_whole(
    tmp_path: Path, library: Path | None, make: object, window: int
) -> None:
    """Every sequence up to the window gives a vector; the memory for long ones can be freed."""
    assert callable(make)
    make(tmp_path / "tiny.gguf", window=window)
    model = opened(tmp_path / "tiny.gguf", library, window=window)
    ids = tiny.tokens(*["the", "cat"] * (window // 2 - 1))
    first = model.encode([ids])
    model.release_large_contexts()
    assert np.abs(model.encode([ids]) - first).max() < 1e-6
    assert np.abs(first - model.encode([ids[:64]])).max() > 1e-3
    model.close()


@pytest.mark.parametrize("pooling", [None, 0, tiny.RANK])
def test_a_file_without_pooling_is_refused(tmp_path: Path, pooling: int | None) -> None:
    """Files without a supported pooling do not load."""
    tiny.bert(tmp_path / "tiny.gguf", pooling=pooling)
    with pytest.raises(Unavailable, match="pooling"):
        opened(tmp_path / "tiny.gguf", None)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_batches_are_computed_side_by_side(tmp_path: Path, library: Path | None, count: int) -> None:
    """Several batches give the vectors that each gives alone, also if they are brief, or one long sequence."""
    tiny.bert(tmp_path / "tiny.gguf", window=4096)
    model = encoder.load(tmp_path / "tiny.gguf", EncoderOptions(batch=64, sequences=8, threads=3, library=library))
    assert model.batches_at_once == 3
    batches = [
        [tiny.tokens("the", "cat")],
        [tiny.tokens("the", *["dog"] * 20), tiny.tokens(*["cat"] * 38)],
        [tiny.tokens(*["dog", "cat"] * 60)],
    ][:count]
    for _ in range(2):
        found = [each.result() for each in [model.start(batch) for batch in batches]]
        assert [len(rows) for rows in found] == [1, 2, 1][:count]
        for rows, batch in zip(found, batches, strict=True):
            assert np.abs(rows - model.encode(batch)).max() < 2e-3
    model.close()


def test_memory_for_batches_is_allocated_once(tmp_path: Path) -> None:
    """The first batch is padded to a whole one, so that none of the larger ones after it allocates more memory."""
    tiny.bert(tmp_path / "tiny.gguf")
    model = opened(tmp_path / "tiny.gguf", None)
    ids = tiny.tokens(*["the", "cat"] * 25)
    first = model.encode([ids])
    assert model._short.largest == model.batch > len(ids)
    assert np.abs(model.encode([ids]) - first).max() < 2e-3
    model.close()


def test_models_with_a_cache_compute_one_batch_at_a_time(tmp_path: Path, library: Path | None) -> None:
    """A cache for each thread would take much memory; with llama.cpp's own choice of attention there is one, too."""
    tiny.causal(tmp_path / "causal.gguf")
    tiny.bert(tmp_path / "bert.gguf")
    for name, options in (("causal", EncoderOptions(threads=2)), ("bert", EncoderOptions(threads=2, is_plain=True))):
        model = encoder.load(tmp_path / f"{name}.gguf", structs.replace(options, library=library))
        assert model.batches_at_once == 1
        model.close()
