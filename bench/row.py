"""One row of the table of targets: the figure, what it is compared with, and the verdict. Pure."""

import math
from typing import Literal

import msgspec

_FLOOR_SHARE = 0.95
"""The share of the bare kernels' speed that the server must reach if the target exceeds that speed."""

Verdict = Literal["met", "not met", "not measured"]


class Row(msgspec.Struct, frozen=True):
    """Our figure and another, in the same unit. `theirs` None: our figure itself is compared with the target.

    `target`: the minimum of ours / theirs (or ours), or the maximum if `at_most`. `floor`: the figure of the bare
    kernels for the same work, if it bounds what a server can reach.
    """

    work: str
    against: str
    unit: str
    ours: float
    theirs: float | None
    target: float
    at_most: bool = False
    floor: float | None = None
    note: str = ""

    @property
    def value(self) -> float:
        """The value that is compared with the target."""
        if self.theirs is None:
            return self.ours
        return self.ours / self.theirs if self.theirs else math.nan

    @property
    def bare(self) -> float:
        """The figure of the bare kernels divided by theirs; infinite if unknown or irrelevant."""
        return self.floor / self.theirs if self.floor and self.theirs and not self.at_most else math.inf

    @property
    def is_capped(self) -> bool:
        """Whether the target exceeds what the bare kernels reach."""
        return self.target > self.bare

    @property
    def bar(self) -> float:
        """The target, or the share of the floor that replaces it."""
        return _FLOOR_SHARE * self.bare if self.is_capped else self.target

    @property
    def verdict(self) -> Verdict:
        """Whether the target is met."""
        if math.isnan(self.value):
            return "not measured"
        return "met" if (self.value <= self.bar if self.at_most else self.value >= self.bar) else "not met"


def unmeasured(work: str, against: str, target: float, why: str) -> Row:
    """A row without figures, and the reason."""
    return Row(work, against, "", math.nan, math.nan, target, note=why)
