"""Composes the drawings of a scene into one picture. Knows pixels and layouts, nothing of the model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from homeport.domain.images import ImageSize
from homeport.engines.images.pipeline import Pixels
from homeport.engines.images.pipelines.clipart import cutout, layout
from homeport.engines.images.pipelines.clipart.boxes import Box
from homeport.engines.images.pipelines.clipart.grammar import OPEN_DRAWINGS
from homeport.engines.images.pipelines.clipart.pose import DrawingPose
from homeport.engines.images.pipelines.clipart.scene import PromptScene

_FACTOR = 4
"""How much larger than the requested size a scene is composed: each of its drawings is a part of the picture."""
_EDGE_MAX = 4096
_TILT = 0.5  # of the tilt of a single drawing: things in a scene stand


def scene_size(size: ImageSize) -> ImageSize:
    """Return the size at which a scene is composed, with the same aspect ratio."""
    factor = min(_FACTOR, max(1, _EDGE_MAX // max(size.width, size.height)))
    return ImageSize(size.width * factor, size.height * factor)


@dataclass(frozen=True, slots=True)
class Composition:
    """A picture and the boxes of its drawings, in pixels, back to front."""

    pixels: Pixels
    boxes: tuple[Box, ...]


def compose(scene: PromptScene, drawings: Sequence[Pixels], size: ImageSize, seed: int) -> Composition:
    """Compose the picture of a scene on white. `drawings`: one of each thing, square, on white."""
    is_open = [thing.drawing.english in OPEN_DRAWINGS for thing in scene.things]
    whole = [cutout.cut_out(drawing, is_open=each) for drawing, each in zip(drawings, is_open, strict=True)]
    boxes = layout.lay_out(scene, [cut.shape[1] / cut.shape[0] for cut in whole], size.width, size.height)
    canvas = np.full((size.height, size.width, 3), 255, np.uint8)
    copies = [0] * len(drawings)
    for box in boxes:
        copy, copies[box.thing] = copies[box.thing], copies[box.thing] + 1
        cut = whole[box.thing]
        if copy:
            posed = _pose(seed, box.thing, copy).apply(drawings[box.thing])
            cut = cutout.cut_out(posed, is_open=is_open[box.thing])
        height = max(1, round(min(box.height, box.width * cut.shape[0] / cut.shape[1])))
        width = max(1, round(height * cut.shape[1] / cut.shape[0]))
        left, top = round(box.middle - width / 2), round(box.bottom) - height
        cutout.paste(canvas, cutout.resize(cut, width, height), left, top)
    return Composition(canvas, tuple(boxes))


def _pose(seed: int, thing: int, copy: int) -> DrawingPose:
    pose = DrawingPose.from_seed(seed + 16 * thing + copy, faces_either_way=False)
    return replace(pose, tilt_deg=pose.tilt_deg * _TILT, hue=0, light=0.0)
