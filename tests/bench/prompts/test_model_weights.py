import numpy as np
import pytest

from bench.prompts.model_weights import quantize, read_shape

_METADATA = {
    "general.architecture": "qwen2",
    "qwen2.block_count": "24",
    "qwen2.embedding_length": "896",
    "qwen2.feed_forward_length": "4864",
    "qwen2.attention.head_count": "14",
    "qwen2.attention.head_count_kv": "2",
    "qwen2.attention.layer_norm_rms_epsilon": "0.000001",
    "qwen2.rope.freq_base": "1000000.000000",
}


def test_a_shape_is_read_from_metadata() -> None:
    """A head's size is the width's share of each head unless stated, and the weights of all blocks are counted."""
    shape = read_shape(_METADATA)
    assert (shape.layers, shape.heads, shape.kv_heads, shape.head, shape.pairs) == (24, 14, 2, 64, False)
    assert shape.block_weights == 24 * (896 * (896 * 2 + 128 * 2) + 3 * 896 * 4864)
    assert read_shape({**_METADATA, "qwen2.attention.key_length": "128"}).head == 128


def test_an_unknown_architecture_is_refused() -> None:
    """The message names the architecture."""
    with pytest.raises(ValueError, match="gemma3"):
        read_shape({**_METADATA, "general.architecture": "gemma3"})


def test_quantized_weights_are_near_the_original() -> None:
    """Each weight is at most half a step from the original, and a group of zeros stays zero."""
    weights = np.random.default_rng(0).standard_normal((4, 96), np.float32)
    weights[1, :32] = 0
    integers, scales = quantize(weights, 32)
    restored = (integers * scales[:, :, None]).reshape(weights.shape)
    steps = np.repeat(scales, 32, axis=1)
    assert (np.abs(restored - weights) <= 0.56 * steps).all()
    assert not restored[1, :32].any()


def test_rows_must_be_whole_groups() -> None:
    """96 weights cannot be divided into groups of 64."""
    with pytest.raises(ValueError, match="96"):
        quantize(np.zeros((1, 96), np.float32), 64)
