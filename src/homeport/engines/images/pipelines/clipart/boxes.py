"""Boxes on a plane, and groups of boxes that keep their places to each other. Knows nothing of things or pixels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GAP = 0.1
"""Between two things side by side, in units of a person's size."""


@dataclass(slots=True)
class Box:
    """The box of one copy of a thing. `depth`: of two boxes, the one with the larger depth is in front."""

    thing: int
    left: float
    top: float
    width: float
    height: float
    depth: int = 0

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    @property
    def middle(self) -> float:
        """The horizontal middle."""
        return self.left + self.width / 2

    def overlaps(self, other: "Box") -> bool:
        """Whether two boxes share more than an edge."""
        slack = 1e-6
        return (
            self.left < other.right - slack
            and other.left < self.right - slack
            and self.top < other.bottom - slack
            and other.top < self.bottom - slack
        )


class BoxGroup:
    """Boxes that keep their places to each other."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self.boxes = list(boxes)

    @property
    def bounds(self) -> Box:
        """The smallest box around all."""
        return bounds_of(self.boxes)

    def move(self, right: float, down: float) -> None:
        """Move all boxes."""
        for box in self.boxes:
            box.left += right
            box.top += down

    def scale(self, factor: float) -> None:
        """Scale all boxes and their distances."""
        for box in self.boxes:
            box.left, box.top, box.width, box.height = (
                each * factor for each in (box.left, box.top, box.width, box.height)
            )

    def stand(self, middle: float, bottom: float) -> None:
        """Move the group's middle and lower edge."""
        bounds = self.bounds
        self.move(middle - bounds.middle, bottom - bounds.bottom)

    def of_things(self, things: Iterable[int]) -> Box:
        """The bounds of some things' boxes."""
        wanted = set(things)
        return bounds_of([box for box in self.boxes if box.thing in wanted])

    def add(self, other: "BoxGroup", *, in_front: bool) -> None:
        """Take in another group, in front of or behind this one's boxes."""
        if in_front:
            offset = 1 + max(box.depth for box in self.boxes) - min(box.depth for box in other.boxes)
            moved = other.boxes
        else:
            offset = 1 + max(box.depth for box in other.boxes) - min(box.depth for box in self.boxes)
            moved = self.boxes
        for box in moved:
            box.depth += offset
        self.boxes += other.boxes


def bounds_of(boxes: Sequence[Box]) -> Box:
    """Return the smallest box around some."""
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right, bottom = max(box.right for box in boxes), max(box.bottom for box in boxes)
    return Box(-1, left, top, right - left, bottom - top)
