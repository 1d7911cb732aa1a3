import numpy as np

from homeport.domain.images import ImageSize
from homeport.engines.images.pipeline import Pixels
from homeport.engines.images.pipelines.clipart import composer
from homeport.engines.images.pipelines.clipart.scene import Place
from tests.engines.images.pipelines.clipart.scenes import scene

RED, BLUE = (220, 0, 0), (0, 0, 220)
SIZE = ImageSize(256, 256)


def block(color: tuple[int, int, int]) -> Pixels:
    """A drawing: a square of one color on white."""
    pixels = np.full((128, 128, 3), 255, np.uint8)
    pixels[24:104, 24:104] = color
    return pixels


def share(pixels: Pixels, color: tuple[int, int, int]) -> float:
    """Return the share of pixels near a color."""
    return float((np.abs(pixels.astype(int) - color).max(axis=2) < 40).mean())


def test_drawings_stand_where_the_scene_says() -> None:
    """The red thing is on the left half, the blue one on the right, and the rest is white."""
    found = composer.compose(scene(["cat", "dog"], ([0], Place.LEFT, [1])), [block(RED), block(BLUE)], SIZE, seed=1)
    pixels = found.pixels
    assert share(pixels[:, :128], RED) > 0.2
    assert share(pixels[:, 128:], BLUE) > 0.2
    assert share(pixels[:, 128:], RED) == share(pixels[:, :128], BLUE) == 0
    assert (pixels[:8] == 255).all()
    assert {box.thing for box in found.boxes} == {0, 1}


def test_what_is_in_front_covers_what_is_behind() -> None:
    """Where both are, one sees the one in front."""
    both = [block(RED), block(BLUE)]
    front = composer.compose(scene(["cat", "house"], ([0], Place.FRONT, [1])), both, SIZE, seed=1)
    rear, cat = front.boxes
    middle = round((max(rear.top, cat.top) + min(rear.bottom, cat.bottom)) / 2)
    across = round((max(rear.left, cat.left) + min(rear.right, cat.right)) / 2)
    assert tuple(front.pixels[middle, across]) == RED


def test_the_same_seed_gives_the_same_picture() -> None:
    """Copies have poses of their own, which depend on the seed only."""
    found, drawings = scene(["3 cat"]), [block(RED)]
    first, again, other = (composer.compose(found, drawings, SIZE, seed).pixels for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_scenes_are_larger_than_a_drawing_and_of_the_requested_shape() -> None:
    """Four times the size, less for long shapes."""
    assert composer.scene_size(ImageSize(128, 192)) == ImageSize(512, 768)
    assert composer.scene_size(ImageSize(4096, 128)) == ImageSize(4096, 128)
