import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.images import ImageSize
from homeport.engines.images import pixels
from homeport.engines.images.pipelines.clipart import postprocessing

SIDE = 64


def _disc(ground: int = 255, ink: tuple[int, int, int] = (200, 30, 30)) -> NDArray[np.uint8]:
    """Draw a soft-edged disc on white, like the model."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    away = np.hypot(rows - SIDE / 2, columns - SIDE / 2)
    share = np.clip((22 - away) / 2.5 + 0.5, 0, 1)[..., None]
    return np.asarray(np.rint(ground * (1 - share) + np.array(ink) * share), dtype=np.uint8)


def _soft(image: NDArray[np.uint8]) -> float:
    """Return the share of pixels that are neither disc nor background."""
    green = image[..., 1].astype(int)
    return float(((green > 60) & (green < 225)).mean())


@pytest.mark.parametrize("factor", [4, 8])
def test_contours_stay_sharp_when_enlarged(factor: int) -> None:
    """A large disc has far fewer soft pixels than one enlarged smoothly."""
    size = ImageSize(SIDE * factor, SIDE * factor)
    result = postprocessing.upscale_contours(_disc(), size)
    assert pixels.size_of(result) == size
    assert _soft(result) < 0.4 * _soft(pixels.resize(_disc(), size))


def test_enlarging_adds_no_color() -> None:
    """Every channel stays within the range of the small image: there are no rings at edges."""
    result, small = postprocessing.upscale_contours(_disc(), ImageSize(500, 500)), _disc()
    assert (result.min(axis=(0, 1)) >= small.min(axis=(0, 1))).all()
    assert (result.max(axis=(0, 1)) <= small.max(axis=(0, 1))).all()


def test_cleaning_removes_blotches_and_keeps_edges() -> None:
    """Faint noise on the background becomes white, noise in areas less than half; contours stay."""
    chance = np.random.default_rng(1)
    noisy = np.clip(_disc(ground=251) + chance.normal(0, 2, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    result = postprocessing.clean(noisy)
    assert (result[:8] == 255).all()
    inside = (slice(24, 40), slice(24, 40))
    assert result[inside].std(axis=(0, 1)).max() < 0.5 * noisy[inside].std(axis=(0, 1)).min()
    across = result[SIDE // 2, :, 1].astype(int)
    assert np.abs(np.diff(across)).max() > 60
