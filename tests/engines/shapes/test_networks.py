"""Features of a triplane: interpolated as TripoSR does it."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from homeport.domain.errors import EngineFailed
from homeport.engines.shapes.networks import RADIUS, FieldDecoder, PictureEncoder, sample_triplane
from tests.engines.shapes.tiny_pair import CELLS, write_pair


def test_a_place_in_the_middle_of_a_cell_has_its_features() -> None:
    """Planes are XY, XZ and YZ: the first axis runs along columns, the second along rows."""
    triplane = np.random.default_rng(0).random((3, 5, 4, 4)).astype(np.float32)
    cells = np.array([(0, 1, 3), (2, 2, 0), (3, 0, 1)])
    places = (((cells + 0.5) / 4) * 2 - 1) * RADIUS
    found = sample_triplane(triplane, places.astype(np.float32))
    for (x, y, z), features in zip(cells, found, strict=True):
        wanted = (triplane[0, :, y, x], triplane[1, :, z, x], triplane[2, :, z, y])
        assert features == pytest.approx(np.concatenate(wanted), abs=1e-5)


def test_features_are_interpolated_and_0_outside() -> None:
    """Between two cells is their mean; on the edge of the plane half of the last cell; far outside nothing."""
    triplane = np.zeros((3, 1, 2, 2), np.float32)
    triplane[0, 0] = [[1, 3], [5, 7]]
    places = np.array([(0, 0, 0), (0, -RADIUS / 2, 0), (RADIUS, RADIUS / 2, 0), (9, 9, 9), (-9, 0, 0)], np.float32)
    assert sample_triplane(triplane, places)[:, 0] == pytest.approx([4, 2, 3.5, 0, 0])


def test_both_layouts_compute_the_same(tmp_path: Path) -> None:
    """A decoder that reads places, and one that reads features, give the same density and color inside the planes."""
    (tmp_path / "samples").mkdir()
    whole, samples = write_pair(tmp_path), write_pair(tmp_path / "samples", layout="samples")
    picture = np.random.default_rng(1).random((1, 3, 64, 64)).astype(np.float32)
    triplane = PictureEncoder(whole["encoder"], 1).run(picture, onnxruntime.RunOptions())
    assert triplane.shape == (3, 4, CELLS, CELLS)
    places = np.random.default_rng(2).uniform(-0.8, 0.8, (50, 3)).astype(np.float32)
    one, other = (FieldDecoder(pair["decoder"], 1).run(triplane, places) for pair in (whole, samples))
    assert one.density == pytest.approx(other.density, rel=1e-3, abs=1e-3)
    assert one.color == pytest.approx(other.color, abs=1e-5)
    assert one.color[0] == pytest.approx(picture.mean(axis=(0, 2, 3)), abs=1e-5)


def test_a_failure_of_the_graph_is_reported(tmp_path: Path) -> None:
    """A picture of another size than the graph's is an error of the engine."""
    encoder = PictureEncoder(write_pair(tmp_path)["encoder"], 1)
    with pytest.raises(EngineFailed, match="failed"):
        encoder.run(np.zeros((1, 3, 8, 8), np.float32), onnxruntime.RunOptions())
