"""The sizes of a decoder, read from its file's metadata, for the architectures that can be trained.

An unknown feature would silently be computed wrongly, so everything unknown is refused. Source: llama.cpp's src/models
(llama, qwen2, qwen3) for the rotation and norms of each architecture.
"""

from collections.abc import Collection, Mapping
from typing import Self

import msgspec

from homeport.domain.errors import InvalidRequest

INTERLEAVED, HALVES = "interleaved", "halves"
ROTATIONS: Mapping[str, str] = {"llama": INTERLEAVED, "qwen2": HALVES, "qwen3": HALVES}
"""The architectures that can be trained, and which elements of a head each rotates together."""

LINEARS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
"""The weights of a block that an adapter changes."""

EMBEDDING, OUTPUT, OUTPUT_NORM, ROPE_FACTORS = "token_embd", "output", "output_norm", "rope_freqs"
_NORMS = ("attn_norm", "ffn_norm")
_HEAD_NORMS = ("attn_q_norm", "attn_k_norm")


class DecoderConfig(msgspec.Struct, frozen=True):
    """A decoder's sizes. `head`: elements of one head; `rope_base`: of the rotation's wavelengths."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    epsilon: float
    rope_base: float

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self:
        """Read the sizes. Raises InvalidRequest for a model that cannot be trained, with the reason."""
        family = metadata.get("general.architecture", "")
        if family not in ROTATIONS:
            raise _unsupported_model(f"its architecture is {family or 'unknown'}; {', '.join(ROTATIONS)} can be")
        scaling = metadata.get(f"{family}.rope.scaling.type", "none")
        if scaling != "none":
            raise _unsupported_model(f"its positions are scaled ({scaling})")
        if int(metadata.get(f"{family}.expert_count", "0")):
            raise _unsupported_model("it is a mixture of experts")
        try:
            width, heads = (int(metadata[f"{family}.{key}"]) for key in ("embedding_length", "attention.head_count"))
            head = int(metadata.get(f"{family}.attention.key_length", width // heads))
            shape = cls(
                architecture=family,
                layers=int(metadata[f"{family}.block_count"]),
                width=width,
                heads=heads,
                kv_heads=int(metadata.get(f"{family}.attention.head_count_kv", heads)),
                head=head,
                epsilon=float(metadata[f"{family}.attention.layer_norm_rms_epsilon"]),
                rope_base=float(metadata.get(f"{family}.rope.freq_base", "10000")),
            )
            rotated = int(metadata.get(f"{family}.rope.dimension_count", head))
            value = int(metadata.get(f"{family}.attention.value_length", head))
        except (KeyError, ValueError) as error:
            raise _unsupported_model(f"its header lacks a plain number ({error})") from error
        if (rotated, value) != (head, head):
            raise _unsupported_model("its heads are partly rotated, or keys and values differ in length")
        return shape

    @property
    def is_interleaved(self) -> bool:
        """Whether neighboring elements are rotated together; else a head's first half with its second."""
        return ROTATIONS[self.architecture] == INTERLEAVED

    def check(self, names: Collection[str]) -> None:
        """Raise InvalidRequest if a file has weights that this decoder does not use, or lacks one that it does."""
        blocks = [f"blk.{layer}.{part}" for layer in range(self.layers) for part in (*LINEARS, *_NORMS)]
        needed = {f"{name}.weight" for name in (EMBEDDING, OUTPUT_NORM, *blocks)}
        also = {f"{name}.weight" for name in (OUTPUT, ROPE_FACTORS)}
        for layer in range(self.layers):
            also |= {f"blk.{layer}.{part}.bias" for part in LINEARS}
            also |= {f"blk.{layer}.{part}.weight" for part in _HEAD_NORMS}
        if missing := sorted(needed - set(names)):
            raise _unsupported_model(f"its file has no {missing[0]}")
        if unknown := sorted(set(names) - needed - also):
            raise _unsupported_model(f"its file has {unknown[0]}, which this version does not know")


def _unsupported_model(why: str) -> InvalidRequest:
    return InvalidRequest(f"This model cannot be fine-tuned: {why}.", param="model")
