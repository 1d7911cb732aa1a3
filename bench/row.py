"""One row of the table of targets: what was measured, what it is held against, and whether that is enough. Pure."""

import math
from typing import Literal

import msgspec

_FLOOR_SHARE = 0.95
"""What a whole server must reach of the bare kernels, where a target asks for more than these can do."""

Verdict = Literal["met", "not met", "not measured"]


class Row(msgspec.Struct, frozen=True):
    """A figure of ours and another, in the same unit. `theirs` None: the figure itself is held against the target.

    `target` is what ours / theirs (or ours) must reach, or stay within where `at_most`. `floor`: what the bare kernels
    reach at the same work, where that bounds what a server can.
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
        """What is held against the target."""
        if self.theirs is None:
            return self.ours
        return self.ours / self.theirs if self.theirs else math.nan

    @property
    def bare(self) -> float:
        """What the bare kernels reach of theirs; without bound where that is not known or does not matter."""
        return self.floor / self.theirs if self.floor and self.theirs and not self.at_most else math.inf

    @property
    def is_capped(self) -> bool:
        """Whether the target asks for more than the bare kernels reach."""
        return self.target > self.bare

    @property
    def bar(self) -> float:
        """The target, or the share of the floor that takes its place."""
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
