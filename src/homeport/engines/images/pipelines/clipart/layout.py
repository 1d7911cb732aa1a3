"""Where the drawings of a scene go: a box for each, back to front. Knows nothing of pixels and of models.

Boxes are laid out in units of a person's size; things with a place are put together first, then the groups are set in
rows and the whole is fitted into the canvas.
"""

from collections.abc import Sequence
from math import ceil, sqrt

from homeport.engines.images.pipelines.clipart.boxes import GAP, Box, BoxGroup
from homeport.engines.images.pipelines.clipart.placement import PUT, avoid
from homeport.engines.images.pipelines.clipart.scene import MAX_DRAWINGS, Place, PromptScene, Relation

MARGIN = 0.07
"""Of the canvas's shorter side, left free all around."""
_ASPECTS = (0.4, 2.5)
_IN_A_ROW = 3  # copies of a thing that is alone in the picture; more stand in several rows
_ROW_PREFERENCE = 0.75  # how much smaller things may become so that there is one row less


def lay_out(scene: PromptScene, aspects: Sequence[float], width: float, height: float) -> list[Box]:
    """Return the boxes of all copies inside a canvas, back to front. `aspects`: width / height of each drawing."""
    counts = fitting_counts(scene)
    groups = [BoxGroup(_copies(scene, index, counts[index], aspects[index])) for index in range(len(scene.things))]
    of = dict(enumerate(groups))
    for relation in scene.relations:
        _relate(scene, relation, of)
    left = list(dict.fromkeys(of.values()))
    related = {index for relation in scene.relations for index in (*relation.subjects, *relation.objects)}
    sky = [of[i] for i, thing in enumerate(scene.things) if thing.drawing.is_in_sky and i not in related]
    ground = [group for group in left if group not in sky]
    if not ground:
        ground, sky = sky, []
    boxes = _fit(_best_rows(ground, sky, width, height), width, height)
    return sorted(boxes, key=lambda box: box.depth)


def fitting_counts(scene: PromptScene) -> list[int]:
    """Return how many copies of each thing are drawn: all, or fewer where there are too many together."""
    counts = [thing.count for thing in scene.things]
    while sum(counts) > MAX_DRAWINGS:
        counts[counts.index(max(counts))] -= 1
    return counts


def _copies(scene: PromptScene, index: int, count: int, aspect: float) -> list[Box]:
    """Return a thing's copies: in a row, or in several, of which the lower ones are in front."""
    aspect = min(max(aspect, _ASPECTS[0]), _ASPECTS[1])
    scale = scene.things[index].scale * (0.85 if count > 1 else 1.0)
    width, height = scale * sqrt(aspect), scale / sqrt(aspect)
    columns = count
    if count > (2 if len(scene.things) > 1 else _IN_A_ROW):
        columns = max(2, round(sqrt(count * height / width * 1.3)))
    rows = ceil(count / columns)
    missing = rows * columns - count  # in the topmost row
    boxes = []
    for copy in range(count):
        row, column = divmod(copy + missing, columns)
        left = (column - (missing / 2 if not row else 0)) * (width + GAP)
        boxes.append(Box(index, left, (row - rows) * (height + GAP), width, height, row))
    return boxes


def _row(groups: Sequence[BoxGroup]) -> BoxGroup:
    """Set groups side by side, on one line; the first one takes in the others."""
    first = groups[0]
    for group in groups[1:]:
        bounds, own = first.bounds, group.bounds
        group.move(bounds.right + GAP - own.left, bounds.bottom - own.bottom)
        first.boxes += group.boxes
    return first


def _relate(scene: PromptScene, relation: Relation, of: dict[int, BoxGroup]) -> None:
    """Put the groups of a relation's things together."""
    subjects = list(dict.fromkeys(of[index] for index in relation.subjects))
    objects = list(dict.fromkeys(group for index in relation.objects if (group := of[index]) not in subjects))
    if not objects:
        return
    place = relation.place
    if place is Place.BETWEEN:
        if len(objects) > 1:
            _merge(of, _row([objects[0], *subjects, *objects[1:]]), [*objects, *subjects])
            return
        place = Place.FRONT
    subject, target = _row(subjects), _row(objects)
    anchor = target.of_things(relation.objects)
    if place is Place.ON and all(scene.things[index].drawing.is_in_sky for index in relation.subjects):
        place = Place.ABOVE
    name = scene.things[relation.objects[0]].drawing.english
    in_front, step = PUT[place](subject, anchor, name)
    avoid(subject, [box for box in target.boxes if box.thing not in relation.objects], step)
    target.add(subject, in_front=in_front)
    _merge(of, target, [*subjects, *objects])


def _merge(of: dict[int, BoxGroup], into: BoxGroup, groups: Sequence[BoxGroup]) -> None:
    for index, group in of.items():
        if group in groups:
            of[index] = into


def _best_rows(ground: Sequence[BoxGroup], sky: Sequence[BoxGroup], width: float, height: float) -> list[Box]:
    """Return all boxes, in few rows in which they are large; what is in the sky in a row above."""
    bounds = [group.bounds for group in ground]

    def size_of(columns: int) -> float:
        rows = [bounds[i : i + columns] for i in range(0, len(bounds), columns)]
        wide = max(sum(box.width for box in row) + GAP * (len(row) - 1) for row in rows)
        high = sum(max(box.height for box in row) for row in rows) + GAP * (len(rows) - 1)
        if sky:
            high += GAP + max(group.bounds.height for group in sky)
        return min(width / wide, height / high) * _ROW_PREFERENCE ** len(rows)

    columns = max(range(1, len(ground) + 1), key=lambda n: (size_of(n), n))
    rows = [ground[i : i + columns] for i in range(0, len(ground), columns)]
    stacked = [_row(row) for row in ([list(sky), *rows] if sky else rows)]
    top = 0.0
    for group in stacked:
        own = group.bounds
        group.move(-own.middle, top - own.top)
        top += own.height + GAP
    return [box for group in stacked for box in group.boxes]


def _fit(boxes: Sequence[Box], width: float, height: float) -> list[Box]:
    """Return the boxes scaled and centered in the canvas."""
    group = BoxGroup(boxes)
    margin = MARGIN * min(width, height)
    own = group.bounds
    group.scale(min((width - 2 * margin) / own.width, (height - 2 * margin) / own.height))
    own = group.bounds
    group.move(width / 2 - own.middle, (height - own.height) / 2 - own.top)
    return group.boxes
