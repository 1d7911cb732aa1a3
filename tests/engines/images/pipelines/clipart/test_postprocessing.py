import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.images import ImageSize
from homeport.engines.images import pixels
from homeport.engines.images.pipelines.clipart import postprocessing

SIDE = 64


def _disc(ground: int = 255, ink: tuple[int, int, int] = (200, 30, 30)) -> NDArray[np.uint8]:
    """A soft-edged disc on paper, as the model paints one."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    away = np.hypot(rows - SIDE / 2, columns - SIDE / 2)
    share = np.clip((22 - away) / 2.5 + 0.5, 0, 1)[..., None]
    return np.asarray(np.rint(ground * (1 - share) + np.array(ink) * share), dtype=np.uint8)


def _soft(picture: NDArray[np.uint8]) -> float:
    """The share of pixels that are neither disc nor paper."""
    green = picture[..., 1].astype(int)
    return float(((green > 60) & (green < 225)).mean())


@pytest.mark.parametrize("factor", [4, 8])
def test_contours_stay_sharp_when_enlarged(factor: int) -> None:
    """Of a large disc far fewer pixels are between ink and paper than of one enlarged smoothly."""
    size = ImageSize(SIDE * factor, SIDE * factor)
    made = postprocessing.upscale_contours(_disc(), size)
    assert pixels.size_of(made) == size
    assert _soft(made) < 0.4 * _soft(pixels.resize(_disc(), size))


def test_enlarging_invents_no_colour() -> None:
    """Every channel stays within what the small picture holds: no rings at edges."""
    made, small = postprocessing.upscale_contours(_disc(), ImageSize(500, 500)), _disc()
    assert (made.min(axis=(0, 1)) >= small.min(axis=(0, 1))).all()
    assert (made.max(axis=(0, 1)) <= small.max(axis=(0, 1))).all()


def test_cleaning_takes_blotches_and_keeps_edges() -> None:
    """Faint noise on the paper becomes white, noise in the area less than half of it; the contour stays."""
    chance = np.random.default_rng(1)
    noisy = np.clip(_disc(ground=251) + chance.normal(0, 2, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    made = postprocessing.clean(noisy)
    assert (made[:8] == 255).all()
    inside = (slice(24, 40), slice(24, 40))
    assert made[inside].std(axis=(0, 1)).max() < 0.5 * noisy[inside].std(axis=(0, 1)).min()
    across = made[SIDE // 2, :, 1].astype(int)
    assert np.abs(np.diff(across)).max() > 60
