"""What was measured of a model's weights in another layout, and the rule by which one is kept.

The rule is stated once, here: who measures stops by it, who stores keeps by it. Knows nothing of files or kernels.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

ORIGINAL = "original"
"""The name of the layout in which a model was fetched."""

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
    """How near the original it answers, over the yardstick's texts.

    `perplexity` of both; `divergence`: mean Kullback-Leibler divergence from the original, in nats per token;
    `agreement`: share of tokens where both find the same one likeliest.
    """

    perplexity: float
    original: float
    divergence: float
    agreement: float

    @property
    def rise(self) -> float:
        """Relative change of the perplexity; negative where it fell."""
        return self.perplexity / self.original - 1


class Trial(msgspec.Struct, frozen=True):
    """One layout against the original, both measured in turns. `fidelity` is None where it was too slow to matter."""

    layout: str
    speed: Speed
    original: Speed
    size: int
    fidelity: Fidelity | None = None

    @property
    def gain(self) -> float:
        """How many times as fast as the original, over the work of `Speed.work_s`."""
        return self.original.work_s / self.speed.work_s

    def __str__(self) -> str:
        now, was, found = self.speed, self.original, self.fidelity
        text = (
            f"{self.layout}: {self.gain:.2f} x as fast (prefill {now.prefill / was.prefill:.2f} x, "
            f"decode {now.decode_1 / was.decode_1:.2f} x alone and {now.decode_16 / was.decode_16:.2f} x at 16)"
        )
        if found is None:
            return text
        return (
            f"{text}; perplexity {found.original:.2f} -> {found.perplexity:.2f} ({found.rise:+.2%}), "
            f"divergence {found.divergence:.4f}, same first choice {found.agreement:.1%}"
        )

    @property
    def is_faster(self) -> bool:
        """Whether it is fast enough to be worth its place on the disk."""
        return self.gain >= MIN_SPEEDUP

    @property
    def is_faithful(self) -> bool:
        """Whether it loses nothing that matters: known, and within both limits."""
        found = self.fidelity
        return found is not None and found.rise < MAX_PERPLEXITY_RISE and found.divergence < MAX_DIVERGENCE


def best(trials: Sequence[Trial]) -> Trial | None:
    """The fastest layout that loses nothing that matters, or None where the original is to stay."""
    return max((trial for trial in trials if trial.is_faster and trial.is_faithful), key=_gain, default=None)


def lossier(trials: Sequence[Trial]) -> list[Trial]:
    """Those faster than what `best` gives, at a price that only the user can judge; the fastest first."""
    chosen = best(trials)
    least = chosen.gain if chosen else MIN_SPEEDUP
    found = [trial for trial in trials if trial.fidelity and not trial.is_faithful and trial.gain >= least]
    return sorted(found, key=_gain, reverse=True)


def _gain(trial: Trial) -> float:
    return trial.gain


class OptimizeOptions(msgspec.Struct, frozen=True):
    """What is asked for: None the fastest that loses nothing that matters, else this layout. `is_dry`: only told."""

    layout: str | None = None
    is_dry: bool = False
    library: str | None = None
    threads: int | None = None


class OptimizeResult(msgspec.Struct, frozen=True):
    """What became of a model: the layout now active, whether that is new, and what was measured on the way."""

    model: str
    layout: str
    is_changed: bool
    trials: tuple[Trial, ...] = ()


class LayoutBenchmarkJob(msgspec.Struct, frozen=True):
    """What a measuring process is to do: try layouts of the file `source`, writing each to `part(name)`.

    `layout`: only this one. `is_complete`: score all, rather than stop at the first that loses nothing.
    `library`, `threads`: as for loading a model. `rounds`: how often speeds are measured.
    """

    source: str
    layout: str | None = None
    is_complete: bool = False
    library: str | None = None
    threads: int | None = None
    rounds: int = 3

    def part(self, layout: str) -> Path:
        """The unfinished file of a layout: a store sweeps what is called so."""
        source = Path(self.source)
        return source.with_name(f"{source.stem}.{layout}.part")


class LayoutBenchmarkEvent(msgspec.Struct, frozen=True):
    """One line a measuring process tells: what it did, or at the end the trials, and on which kernels and CPU."""

    text: str = ""
    kernels: str = ""
    machine: str = ""
    trials: tuple[Trial, ...] | None = None
