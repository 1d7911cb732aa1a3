"""What can be trained, and what is refused because it would be computed wrongly."""

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.training.decoder_config import LINEARS, DecoderConfig

PLAIN = {
    "general.architecture": "llama",
    "llama.embedding_length": "64",
    "llama.block_count": "2",
    "llama.attention.head_count": "4",
    "llama.attention.head_count_kv": "2",
    "llama.attention.layer_norm_rms_epsilon": "0.00001",
}


def names() -> set[str]:
    parts = (*LINEARS, "attn_norm", "ffn_norm")
    return {"token_embd.weight", "output_norm.weight"} | {f"blk.{n}.{part}.weight" for n in (0, 1) for part in parts}


def test_a_plain_decoder_is_read() -> None:
    """Sizes come from the header, with the usual defaults."""
    shape = DecoderConfig.read(PLAIN)
    assert shape == DecoderConfig("llama", 2, 64, 4, 2, 16, 1e-5, 10_000.0)
    assert shape.is_interleaved
    shape.check(names())
    shape.check(names() | {"output.weight", "rope_freqs.weight", "blk.1.attn_q.bias"})


@pytest.mark.parametrize(
    "changed",
    [
        {"general.architecture": "mamba"},
        {"llama.rope.scaling.type": "yarn"},
        {"llama.expert_count": "8"},
        {"llama.rope.dimension_count": "8"},
        {"llama.attention.value_length": "8"},
        {"llama.block_count": "many"},
    ],
)
def test_unknown_features_are_refused(changed: dict[str, str]) -> None:
    """Another architecture or an unsupported feature is named."""
    with pytest.raises(InvalidRequest, match="cannot be fine-tuned") as found:
        DecoderConfig.read(PLAIN | changed)
    assert found.value.param == "model"


def test_unknown_and_missing_weights_are_refused() -> None:
    """An unused or a missing tensor means that the model is not supported."""
    shape = DecoderConfig.read(PLAIN)
    with pytest.raises(InvalidRequest, match=r"blk\.0\.attn_sinks"):
        shape.check(names() | {"blk.0.attn_sinks.weight"})
    with pytest.raises(InvalidRequest, match=r"no blk\.1\.attn_v"):
        shape.check(names() - {"blk.1.attn_v.weight"})
