"""How a group of boxes is put on, in, beside or behind others. Knows nothing of scenes or pixels."""

from collections.abc import Callable, Sequence

from homeport.engines.images.pipelines.clipart.boxes import GAP, Box, BoxGroup, bounds_of
from homeport.engines.images.pipelines.clipart.grammar import CONTAINERS
from homeport.engines.images.pipelines.clipart.scene import Place

_SEATS = {"couch and lamp": (0.42, 0.22), "bed": (0.5, 0.4), "chair": (0.5, 0.4), "seat": (0.5, 0.4)}
"""Drawings that are taller than the place to sit: its middle and height, in shares of the drawing."""


def avoid(group: BoxGroup, others: Sequence[Box], step: tuple[int, int]) -> None:
    """Move a group in one direction until it overlaps none of the other boxes."""
    for _ in range(len(others) + 1):
        bounds = group.bounds
        hit = [box for box in others if box.overlaps(bounds)]
        if not hit:
            return
        area = bounds_of(hit)
        right = {1: area.right + GAP - bounds.left, -1: area.left - GAP - bounds.right}.get(step[0], 0.0)
        down = {1: area.bottom + GAP - bounds.top, -1: area.top - GAP - bounds.bottom}.get(step[1], 0.0)
        group.move(right, down)


def _shrink(group: BoxGroup, width: float, height: float) -> None:
    """Make a group fit a size, but never much less than half as large."""
    bounds = group.bounds
    group.scale(max(0.4, min(1.0, width / bounds.width, height / bounds.height)))


Put = Callable[[BoxGroup, Box, str], tuple[bool, tuple[int, int]]]
"""Puts a group at an anchor, whose drawing has a name. Returns whether it is in front, and which way it can move."""


def _put_on(group: BoxGroup, anchor: Box, name: str) -> tuple[bool, tuple[int, int]]:
    if name in _SEATS:
        middle, height = _SEATS[name]
        _shrink(group, 0.7 * anchor.width, float("inf"))
        group.stand(anchor.left + middle * anchor.width, anchor.bottom - height * anchor.height)
        return True, (1, 0)
    _shrink(group, anchor.width * 1.1, float("inf"))
    group.stand(anchor.middle, anchor.top + min(0.2 * anchor.height, 0.35 * group.bounds.height))
    return True, (1, 0)


def _put_under(group: BoxGroup, anchor: Box, _: str) -> tuple[bool, tuple[int, int]]:
    group.stand(anchor.middle, anchor.bottom + GAP / 2 + group.bounds.height)
    return True, (0, 1)


def _put_above(group: BoxGroup, anchor: Box, _: str) -> tuple[bool, tuple[int, int]]:
    group.stand(anchor.middle, anchor.top - GAP)
    return True, (0, -1)


def _put_left(group: BoxGroup, anchor: Box, _: str) -> tuple[bool, tuple[int, int]]:
    group.stand(anchor.left - GAP - group.bounds.width / 2, anchor.bottom)
    return True, (-1, 0)


def _put_right(group: BoxGroup, anchor: Box, _: str) -> tuple[bool, tuple[int, int]]:
    group.stand(anchor.right + GAP + group.bounds.width / 2, anchor.bottom)
    return True, (1, 0)


def _put_in_front(group: BoxGroup, anchor: Box, _: str) -> tuple[bool, tuple[int, int]]:
    _shrink(group, 0.7 * anchor.width, 0.6 * anchor.height)
    bounds = group.bounds
    group.stand(anchor.right - 0.15 * bounds.width, anchor.bottom + 0.3 * bounds.height)
    return True, (1, 0)


def _put_behind(group: BoxGroup, anchor: Box, _: str) -> tuple[bool, tuple[int, int]]:
    width, height = group.bounds.width, group.bounds.height
    if height > 1.4 * anchor.height:
        group.stand(anchor.middle - 0.25 * anchor.width, anchor.bottom - 0.25 * anchor.height)
    else:
        group.stand(anchor.left - 0.15 * width, anchor.bottom - 0.2 * height)
    return False, (-1, 0)


def _put_in(group: BoxGroup, anchor: Box, name: str) -> tuple[bool, tuple[int, int]]:
    if name not in CONTAINERS:
        _shrink(group, 0.6 * anchor.width, 0.55 * anchor.height)
        group.stand(anchor.middle, anchor.bottom + 0.15 * group.bounds.height)
        return True, (1, 0)
    rim = CONTAINERS[name]
    _shrink(group, 0.8 * anchor.width, float("inf"))
    group.stand(anchor.middle, anchor.bottom - rim * anchor.height + 0.3 * group.bounds.height)
    return False, (0, -1)


PUT: dict[Place, Put] = {
    Place.ON: _put_on,
    Place.UNDER: _put_under,
    Place.ABOVE: _put_above,
    Place.LEFT: _put_left,
    Place.RIGHT: _put_right,
    Place.BESIDE: _put_left,
    Place.FRONT: _put_in_front,
    Place.BEHIND: _put_behind,
    Place.IN: _put_in,
}
"""What puts a group at each place; a thing between others stands in a row with them."""
