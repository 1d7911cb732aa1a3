"""What a prompt with several things asks for: things, their number, colour and size, and where they are.

Values only. Knows nothing of sentences, of boxes or of pixels.
"""

from dataclasses import dataclass
from enum import StrEnum

from homeport.engines.images.pipelines.clipart.vocabulary import NamedDrawing

MAX_THINGS = 6
"""Different things in a picture: each is painted by the model."""
MAX_DRAWINGS = 12
"""Drawings in a picture, copies included."""


class Place(StrEnum):
    """Where subjects are, as seen from objects."""

    ON = "on"
    UNDER = "under"
    ABOVE = "above"
    LEFT = "left of"
    RIGHT = "right of"
    BESIDE = "next to"
    FRONT = "in front of"
    BEHIND = "behind"
    BETWEEN = "between"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing. `color`: an English color name, or empty. `size`: a factor for the usual size."""

    drawing: NamedDrawing
    count: int = 1
    color: str = ""
    size: float = 1.0

    @property
    def scale(self) -> float:
        """The size, in units of a person's."""
        return self.drawing.scale * self.size


@dataclass(frozen=True, slots=True)
class Relation:
    """`subjects` are at `place` of `objects`; both are indices of things."""

    subjects: tuple[int, ...]
    place: Place
    objects: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PromptScene:
    """All that was found in a prompt. `left_out`: its words for what is not drawn. `language`: `en` or `zh`."""

    things: tuple[Thing, ...]
    relations: tuple[Relation, ...] = ()
    left_out: tuple[str, ...] = ()
    language: str = "en"

    @property
    def is_single(self) -> bool:
        """Whether it is one drawing, with nothing to lay out."""
        return len(self.things) == 1 and self.things[0].count == 1
