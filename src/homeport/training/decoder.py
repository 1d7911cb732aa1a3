"""A decoder in torch with frozen weights and trainable low-rank factors (LoRA, Hu et al. 2021).

Weights are used in the file's order, including llama.cpp's order of q and k rows, so that an adapter needs no
reordering to be used there. Knows nothing of losses. Imported in the training process only.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from homeport.training.decoder_config import (
    EMBEDDING,
    LINEARS,
    OUTPUT,
    OUTPUT_NORM,
    ROPE_FACTORS,
    DecoderConfig,
)

RANK, ALPHA = 8, 16.0
_RECOMPUTE_TOKENS = 512  # of one pass: with more, blocks are computed again for the gradients, to save memory


def precision(device: str) -> torch.dtype:
    """Return the precision of weights: bfloat16 if the processor multiplies it natively (faster, half the size).

    With AVX-512's bfloat16 a product took a quarter of the time; without it, it would take a multiple.
    """
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    can = torch.cpu.get_capabilities()
    return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32


class LoraFactors:
    """The trained factors: a pair A, B per adapted weight W; the model computes with W + B A * ALPHA / RANK."""

    def __init__(self, weights: Mapping[str, Tensor], seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.down: dict[str, Tensor] = {}
        self.up: dict[str, Tensor] = {}
        self.are_off = False
        for name, weight in sorted(weights.items()):
            if name.split(".")[-2] not in LINEARS or not name.endswith(".weight"):
                continue
            rows, columns = weight.shape
            start = torch.randn(RANK, columns, generator=generator) / columns**0.5
            self.down[name] = start.to(weight.device).requires_grad_()
            self.up[name] = torch.zeros(rows, RANK, device=weight.device, requires_grad=True)

    def __iter__(self) -> Iterator[Tensor]:
        yield from self.down.values()
        yield from self.up.values()

    def add(self, name: str, values: Tensor, output: Tensor) -> Tensor:
        """Return a weight's output for `values`, with its factors added."""
        if self.are_off:
            return output
        change = functional.linear(functional.linear(values, self.down[name]), self.up[name])
        return output + change * (ALPHA / RANK)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return all trained tensors."""
        return {"down": dict(self.down), "up": dict(self.up)}

    def restore(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Restore what `state` returned."""
        with torch.no_grad():
            for name, kept in (("down", self.down), ("up", self.up)):
                for key, tensor in kept.items():
                    tensor.copy_(state[name][key])


class Decoder:
    """The model. `weights`: every tensor of its file by name, vectors as vectors, in float32.

    Matrices may have another precision: products are computed in it, all else, and all that is trained, in float32.
    """

    def __init__(self, config: DecoderConfig, weights: Mapping[str, Tensor], factors: LoraFactors) -> None:
        self.config = config
        self._weights = weights
        self.factors = factors
        embedding = weights[f"{EMBEDDING}.weight"]
        self._output = weights.get(f"{OUTPUT}.weight", embedding)
        pairs = torch.arange(0, config.head, 2, device=embedding.device, dtype=torch.float32) / config.head
        self._frequencies = config.rope_base**-pairs
        if (divisors := weights.get(f"{ROPE_FACTORS}.weight")) is not None:
            self._frequencies = self._frequencies / divisors

    def hidden(self, ids: Tensor) -> Tensor:
        """Return the hidden states before the output, (batch, length, width), of ids (batch, length).

        Later positions do not change earlier ones, so shorter rows may be padded with anything.
        """
        values = functional.embedding(ids, self._weights[f"{EMBEDDING}.weight"]).float()
        angles = torch.outer(torch.arange(ids.shape[1], device=ids.device, dtype=torch.float32), self._frequencies)
        rotation = (angles.cos(), angles.sin())
        for layer in range(self.config.layers):
            if torch.is_grad_enabled() and ids.numel() > _RECOMPUTE_TOKENS:
                values = checkpoint(self._block, layer, values, rotation, use_reentrant=False)
            else:
                values = self._block(layer, values, rotation)
        return self._rms_norm(f"{OUTPUT_NORM}.weight", values)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits of hidden states, (…, vocabulary)."""
        return _matmul(hidden, self._output)

    def _block(self, layer: int, values: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        block = f"blk.{layer}"
        values = values + self._attention(block, self._rms_norm(f"{block}.attn_norm.weight", values), rotation)
        normed = self._rms_norm(f"{block}.ffn_norm.weight", values)
        gate = functional.silu(self._linear(f"{block}.ffn_gate", normed))
        return values + self._linear(f"{block}.ffn_down", gate * self._linear(f"{block}.ffn_up", normed))

    def _attention(self, block: str, values: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        config = self.config
        query, key, value = (
            self._heads(block, part, values, count)
            for part, count in (("attn_q", config.heads), ("attn_k", config.kv_heads), ("attn_v", config.kv_heads))
        )
        shared = config.heads // config.kv_heads
        attended = functional.scaled_dot_product_attention(
            self._apply_rotary(query, rotation),
            self._apply_rotary(key, rotation).repeat_interleave(shared, 1),
            value.repeat_interleave(shared, 1),
            is_causal=True,
        )
        return self._linear(f"{block}.attn_output", attended.transpose(1, 2).flatten(2))

    def _heads(self, block: str, part: str, values: Tensor, count: int) -> Tensor:
        """Return (batch, heads, length, head)."""
        output = self._linear(f"{block}.{part}", values).unflatten(-1, (count, self.config.head))
        norm = f"{block}.{part}_norm.weight"
        if norm in self._weights:
            output = self._rms_norm(norm, output)
        return output.transpose(1, 2)

    def _apply_rotary(self, heads: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Apply rotary position embeddings (Su et al. 2021)."""
        cos, sin = rotation
        if self.config.is_interleaved:
            left, right = heads.unflatten(-1, (-1, 2)).unbind(-1)
            return torch.stack((left * cos - right * sin, left * sin + right * cos), -1).flatten(-2)
        left, right = heads.chunk(2, -1)
        return torch.cat((left * cos - right * sin, left * sin + right * cos), -1)

    def _linear(self, name: str, values: Tensor) -> Tensor:
        weight = f"{name}.weight"
        output = _matmul(values, self._weights[weight])
        if (bias := self._weights.get(f"{name}.bias")) is not None:
            output = output + bias
        return self.factors.add(weight, values, output)

    def _rms_norm(self, name: str, values: Tensor) -> Tensor:
        weight = self._weights[name]
        return functional.rms_norm(values, weight.shape, weight, self.config.epsilon)


def _matmul(values: Tensor, weight: Tensor) -> Tensor:
    return functional.linear(values.to(weight.dtype), weight).float()
