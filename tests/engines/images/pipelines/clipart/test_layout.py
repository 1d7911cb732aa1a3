"""Where drawings go: inside, apart, and in the said order."""

import itertools
from collections.abc import Callable

import pytest

from homeport.engines.images.pipelines.clipart.boxes import Box
from homeport.engines.images.pipelines.clipart.layout import lay_out
from homeport.engines.images.pipelines.clipart.scene import MAX_DRAWINGS, Place, PromptScene
from tests.engines.images.pipelines.clipart.scenes import scene

SIZES = [(512.0, 512.0), (768.0, 512.0), (300.0, 900.0)]
APART = (Place.LEFT, Place.RIGHT, Place.BESIDE, Place.ABOVE, Place.UNDER)
TOUCHING = (Place.ON, Place.FRONT, Place.BEHIND, Place.IN)


def boxes_of(found: PromptScene, width: float = 512, height: float = 512) -> list[Box]:
    """Lay out a scene of square drawings."""
    return lay_out(found, [1.0] * len(found.things), width, height)


def one(boxes: list[Box], thing: int) -> Box:
    """Return the only box of a thing."""
    [box] = [box for box in boxes if box.thing == thing]
    return box


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", Place)
def test_every_box_is_inside_the_canvas(place: Place, size: tuple[float, float]) -> None:
    """Whatever the place and the canvas, no box reaches the edge, and the largest side is well used."""
    boxes = boxes_of(scene(["3 apple", "house", "sun", "dog"], ([0], place, [1]), ([3], place, [1])), *size)
    assert len(boxes) == 6
    assert all(box.left > 0 and box.top > 0 and box.right < size[0] and box.bottom < size[1] for box in boxes)
    wide = max(box.right for box in boxes) - min(box.left for box in boxes)
    high = max(box.bottom for box in boxes) - min(box.top for box in boxes)
    assert max(wide / size[0], high / size[1]) > 0.75


@pytest.mark.parametrize("place", APART)
def test_things_side_by_side_do_not_overlap(place: Place) -> None:
    """Beside, left, right, above and under keep drawings apart, also several and in a chain."""
    found = scene(["2 cat", "dog", "house", "bird"], ([0], place, [1]), ([3], place, [1]), ([1], place, [2]))
    boxes = boxes_of(found)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("place", TOUCHING)
def test_things_on_each_other_overlap_in_part(place: Place) -> None:
    """On, in, before and behind: the boxes overlap, but at least half of the rear one stays visible."""
    boxes = boxes_of(scene(["cat", "house"], ([0], place, [1])))
    rear, front = boxes
    assert rear.overlaps(front)
    wide = min(rear.right, front.right) - max(rear.left, front.left)
    high = min(rear.bottom, front.bottom) - max(rear.top, front.top)
    assert wide * high < 0.5 * rear.width * rear.height


def test_places_mean_what_they_say() -> None:
    """Left is left, right is right, above is above, under is under, and between is between."""
    checks: dict[Place, Callable[[Box, Box], bool]] = {
        Place.LEFT: lambda a, b: a.right < b.left,
        Place.RIGHT: lambda a, b: a.left > b.right,
        Place.ABOVE: lambda a, b: a.bottom < b.top,
        Place.UNDER: lambda a, b: a.top > b.bottom,
        Place.ON: lambda a, b: a.bottom > b.top > a.top,
    }
    for place, is_right in checks.items():
        boxes = boxes_of(scene(["cat", "dog"], ([0], place, [1])))
        assert is_right(one(boxes, 0), one(boxes, 1)), place
    boxes = boxes_of(scene(["ball", "cat", "dog"], ([0], Place.BETWEEN, [1, 2])))
    assert one(boxes, 1).right < one(boxes, 0).left < one(boxes, 0).right < one(boxes, 2).left


def test_what_is_in_front_is_drawn_last() -> None:
    """The order is back to front: a dog before a house, a tree behind it, a cat that looks out of a box."""
    found = scene(["dog", "house", "tree"], ([0], Place.FRONT, [1]), ([2], Place.BEHIND, [1]))
    assert [box.thing for box in boxes_of(found)] == [2, 1, 0]
    assert [box.thing for box in boxes_of(scene(["cat", "box"], ([0], Place.IN, [1])))] == [0, 1]
    assert [box.thing for box in boxes_of(scene(["fish", "sea"], ([0], Place.IN, [1])))] == [1, 0]


def test_things_of_one_place_stand_side_by_side() -> None:
    """Two groups on one sofa do not cover each other."""
    boxes = boxes_of(scene(["cat", "sofa", "dog"], ([0], Place.ON, [1]), ([2], Place.ON, [1])))
    assert not one(boxes, 0).overlaps(one(boxes, 2))


def test_sizes_are_those_of_the_things() -> None:
    """A house is larger than a mouse, and what is in the sky without a place is at the top."""
    boxes = boxes_of(scene(["mouse", "house", "sun"]))
    assert one(boxes, 1).height > 1.8 * one(boxes, 0).height
    assert one(boxes, 2).bottom < min(one(boxes, 0).top, one(boxes, 1).top)
    assert one(boxes, 0).bottom == pytest.approx(one(boxes, 1).bottom)


def test_a_drawing_keeps_its_shape() -> None:
    """The box of a wide drawing is wide, that of a tall one tall, with the same area."""
    wide, tall = lay_out(scene(["cat", "dog"]), [2.0, 0.5], 512, 512)
    assert wide.width / wide.height == pytest.approx(2)
    assert tall.width / tall.height == pytest.approx(0.5)
    assert wide.width * wide.height == pytest.approx(tall.width * tall.height)


@pytest.mark.parametrize("count", [2, 3, 5, 7, 12])
def test_copies_do_not_overlap(count: int) -> None:
    """Each copy has a box of its own, in rows."""
    boxes = boxes_of(scene([f"{count} apple"]))
    assert len(boxes) == count
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_the_number_of_copies_is_limited() -> None:
    """Of too many things each still has one copy."""
    boxes = boxes_of(scene(["99 apple", "cat", "50 bird"]))
    assert len(boxes) == MAX_DRAWINGS
    assert {box.thing for box in boxes} == {0, 1, 2}


def test_contradictions_are_laid_out_too() -> None:
    """A cycle of places, and a thing at itself, still give each thing a box."""
    found = scene(["cat", "dog"], ([0], Place.LEFT, [1]), ([1], Place.LEFT, [0]), ([0], Place.ON, [0]))
    assert sorted(box.thing for box in boxes_of(found)) == [0, 1]
