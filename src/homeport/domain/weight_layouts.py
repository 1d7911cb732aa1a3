"""Measurements of a model's weights in another layout, and the rule that selects a layout.

The rule is stated once, here: the benchmark stops by it, the model store selects by it. Knows nothing of files or
kernels.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

ORIGINAL = "original"
"""The name of the layout in which a model was pulled."""

LAYOUTS = ("q8_0", "q4_0", "bf16")
"""The layouts that can be made of it."""

MIN_SPEEDUP = 1.1
MAX_PERPLEXITY_RISE = 0.005
MAX_DIVERGENCE = 0.02
"""Nats per token. Kernels alone differ by about 0.006 between layouts that hold the same weights; Q4_0 by 0.5."""


class Speed(msgspec.Struct, frozen=True):
    """Tokens per second, all sequences together: a prompt of 512 tokens, and decoding 1 or 16 sequences."""

    prefill: float
    decode_1: float
    decode_16: float

    @property
    def work_s(self) -> float:
        """Seconds for 512 prompt tokens and 128 new ones, half of these decoded alone, half among 16."""
        return 512 / self.prefill + 64 / self.decode_1 + 64 / self.decode_16


class Fidelity(msgspec.Struct, frozen=True):
    """How close a layout is to the original, over the reference texts.

    `perplexity` of both; `divergence`: mean Kullback-Leibler divergence from the original, in nats per token;
    `agreement`: share of tokens where both have the same most likely token.
    """

    perplexity: float
    original: float
    divergence: float
    agreement: float

    @property
    def rise(self) -> float:
        """Relative change of the perplexity; negative if it fell."""
        return self.perplexity / self.original - 1


class Trial(msgspec.Struct, frozen=True):
    """One layout compared with the original, measured alternately. `fidelity` is None if it is too slow to matter."""

    layout: str
    speed: Speed
    original: Speed
    size: int
    fidelity: Fidelity | None = None

    @property
    def gain(self) -> float:
        """The speed relative to the original, over the work of `Speed.work_s`."""
        return self.original.work_s / self.speed.work_s

    def __str__(self) -> str:
        now, was, fidelity = self.speed, self.original, self.fidelity
        text = (
            f"{self.layout}: {self.gain:.2f} x as fast (prefill {now.prefill / was.prefill:.2f} x, "
            f"decode {now.decode_1 / was.decode_1:.2f} x alone and {now.decode_16 / was.decode_16:.2f} x at 16)"
        )
        if fidelity is None:
            return text
        return (
            f"{text}; perplexity {fidelity.original:.2f} -> {fidelity.perplexity:.2f} ({fidelity.rise:+.2%}), "
            f"divergence {fidelity.divergence:.4f}, same first choice {fidelity.agreement:.1%}"
        )

    @property
    def is_faster(self) -> bool:
        """Whether it is fast enough to justify its size on disk."""
        return self.gain >= MIN_SPEEDUP

    @property
    def is_faithful(self) -> bool:
        """Whether there is no measurable quality loss: fidelity is known, and within both limits."""
        fidelity = self.fidelity
        return fidelity is not None and fidelity.rise < MAX_PERPLEXITY_RISE and fidelity.divergence < MAX_DIVERGENCE


def best(trials: Sequence[Trial]) -> Trial | None:
    """Return the fastest layout without measurable quality loss, or None to keep the original."""
    return max((trial for trial in trials if trial.is_faster and trial.is_faithful), key=_gain, default=None)


def lossier(trials: Sequence[Trial]) -> list[Trial]:
    """Return layouts faster than `best`, at a quality loss that only the user can judge; the fastest first."""
    chosen = best(trials)
    least = chosen.gain if chosen else MIN_SPEEDUP
    faster = [trial for trial in trials if trial.fidelity and not trial.is_faithful and trial.gain >= least]
    return sorted(faster, key=_gain, reverse=True)


def _gain(trial: Trial) -> float:
    return trial.gain


class OptimizeOptions(msgspec.Struct, frozen=True):
    """Options of optimizing. `layout` None: the fastest without measurable quality loss. `is_dry`: only report."""

    layout: str | None = None
    is_dry: bool = False
    library: str | None = None
    threads: int | None = None
    gpu_layers: int | None = None


class OptimizeResult(msgspec.Struct, frozen=True):
    """The result for a model: the active layout, whether it changed, and the measurements."""

    model: str
    layout: str
    is_changed: bool
    trials: tuple[Trial, ...] = ()


class LayoutBenchmarkJob(msgspec.Struct, frozen=True):
    """The job of a benchmark process: try layouts of the file `source`, and write each to `part(name)`.

    `layout`: only this one. `is_complete`: score all, instead of stopping at the first without quality loss. `library`,
    `threads`, `gpu_layers`: as for loading a model. `rounds`: how often speeds are measured.
    """

    source: str
    layout: str | None = None
    is_complete: bool = False
    library: str | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    rounds: int = 3

    def part(self, layout: str) -> Path:
        """Return the path of a layout's unfinished file, which a model store deletes if it is left over."""
        source = Path(self.source)
        return source.with_name(f"{source.stem}.{layout}.part")


class LayoutBenchmarkEvent(msgspec.Struct, frozen=True):
    """One line of a benchmark process: its progress, or at the end the trials, and the kernels and CPU."""

    text: str = ""
    kernels: str = ""
    machine: str = ""
    trials: tuple[Trial, ...] | None = None
