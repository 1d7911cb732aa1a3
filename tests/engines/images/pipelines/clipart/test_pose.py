import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.engines.images.pipelines.clipart.pose import DrawingPose, centre_drawing

SIDE = 128


def _flag() -> NDArray[np.uint8]:
    """A pole on the left with a blue flag to its right, on white."""
    made = np.full((SIDE, SIDE, 3), 255, np.uint8)
    made[10:118, 30:40] = (90, 60, 30)
    made[10:60, 40:100] = (30, 60, 200)
    return made


def _ink(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(picture.min(axis=2) < 200)


def test_a_seed_has_one_posture_and_neighbours_have_others() -> None:
    """Ten seeds in a row, as of ten pictures of one request, put a drawing down in ten ways that differ to the eye."""
    made = [DrawingPose.from_seed(seed, faces_either_way=False).apply(_flag()) for seed in range(40, 50)]
    again = DrawingPose.from_seed(43, faces_either_way=False).apply(_flag())
    assert (made[3] == again).all()
    away = [np.abs(made[i].astype(int) - made[j]).mean() for i in range(10) for j in range(i)]
    assert min(away) > 2


def test_what_words_asked_for_is_never_mirrored() -> None:
    """Of prompts left stays left; of variations about half are seen in a mirror."""
    words = [DrawingPose.from_seed(seed, faces_either_way=False).mirrored for seed in range(100)]
    pictures = [DrawingPose.from_seed(seed, faces_either_way=True).mirrored for seed in range(100)]
    assert not any(words)
    assert 30 < sum(pictures) < 70


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_cut_off(seed: int) -> None:
    """A drawing as large as the model's stays on its paper, on white, whatever its tilt."""
    drawing = np.full((SIDE, SIDE, 3), 255, np.uint8)
    drawing[5:-5, 5:-5] = (40, 120, 60)
    made = DrawingPose.from_seed(seed, faces_either_way=True).apply(drawing)
    corners = made[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 255).all()
    assert _ink(made).mean() > 0.5


def test_shades_leave_white_and_grey_alone() -> None:
    """White stays white, and a grey gets no colour."""
    grey = np.full((SIDE, SIDE, 3), 255, np.uint8)
    grey[40:80, 40:80] = 128
    made = DrawingPose(0, 1, 1, False, hue=6, light=0.08).apply(grey)
    assert (made[:20] == 255).all()
    middle = made[60, 60].astype(int)
    assert middle.max() - middle.min() <= 1
    assert middle[0] > 128


def test_a_frame_undoes_place_and_size() -> None:
    """A drawing that is small in a corner is framed as the same one, large in the middle; empty paper stays empty."""
    small = np.full((SIDE, SIDE, 3), 255, np.uint8)
    small[4:58, 6:41] = _flag()[10:118:2, 30:100:2]
    away = np.abs(centre_drawing(small).astype(int) - centre_drawing(_flag()))
    assert (away.max(axis=2) > 60).mean() < 0.05
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    assert (centre_drawing(blank) == 255).all()
