import numpy as np

from homeport.engines.images.pipelines.clipart import cutout

SIDE = 64
RED = (200, 0, 0)


def ring() -> np.ndarray:
    """A red ring with white inside, on white."""
    y, x = np.mgrid[:SIDE, :SIDE]
    far = np.hypot(y - 31.5, x - 31.5)
    pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
    pixels[(far < 24) & (far > 14)] = RED
    return pixels


def test_the_background_is_transparent_and_white_inside_stays() -> None:
    """The cut has the drawing's bounds; its corners are transparent, its contour and its white middle are opaque."""
    cut = cutout.cut_out(ring())
    assert abs(cut.shape[0] - 4 * 48) <= 8
    assert abs(cut.shape[1] - 4 * 48) <= 8
    assert cut[0, 0, 3] == 0
    assert tuple(cut[cut.shape[0] // 2, cut.shape[1] // 2]) == (255, 255, 255, 255)
    assert cut[cut.shape[0] // 2, 16, 3] == 255


def test_one_sees_through_open_drawings_and_between_legs() -> None:
    """White inside an open drawing is transparent, and so is a small gap in the lower half; one in the upper stays."""
    assert cutout.cut_out(ring(), is_open=True)[96, 96, 3] == 0
    pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
    pixels[8:56, 8:56] = RED
    pixels[14:20, 30:36] = 255
    pixels[44:50, 30:36] = 255
    alpha = cutout.cut_out(pixels)[..., 3]
    middle = alpha.shape[1] // 2
    assert alpha[4 * (17 - 8), middle] == 255
    assert alpha[4 * (47 - 8), middle] == 0


def test_the_contour_has_no_white_fringe() -> None:
    """Pasted on blue, the edge of a red square has no light pixel."""
    pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
    pixels[12:52, 12:52] = RED
    canvas = np.full((SIDE, SIDE, 3), (0, 0, 200), np.uint8)
    cutout.paste(canvas, cutout.resize(cutout.cut_out(pixels), 40, 40), 12, 12)
    assert canvas[..., 1].max() < 60
    assert tuple(canvas[32, 32]) == RED
    assert tuple(canvas[2, 2]) == (0, 0, 200)


def test_what_is_outside_the_canvas_is_lost() -> None:
    """A cut-out that reaches over an edge is drawn in part; one beyond it changes nothing."""
    piece = np.full((10, 10, 4), 255, np.uint8)
    piece[..., :3] = RED
    canvas = np.full((20, 20, 3), 255, np.uint8)
    cutout.paste(canvas, piece, 40, 0)
    assert (canvas == 255).all()
    cutout.paste(canvas, piece, -5, 15)
    assert (canvas[15:, :5] == RED).all()
    assert (canvas[:15] == 255).all()


def test_white_alone_is_returned_whole() -> None:
    """A drawing without a drawing has no bounds to cut to."""
    cut = cutout.cut_out(np.full((SIDE, SIDE, 3), 255, np.uint8))
    assert cut.shape == (4 * SIDE, 4 * SIDE, 4)
    assert (cut == 255).all()
