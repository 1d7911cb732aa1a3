"""The network of tox-block in numpy, compared with its package's published results."""

from pathlib import Path

import numpy as np
import pytest

from homeport.domain.errors import Unavailable
from homeport.engines.moderation.toxicity_model import LABELS, ToxicityModel

# From the package's description: a text, its answers, scaled by the package between these bounds.
PUBLISHED = {
    "I will kill you, you fucking idiot!": (0.9998680, 0.7870364, 0.9885634, 0.8483908, 0.9883397, 0.1710593),
    "I do strongly disagree with the fascist views of this joke that calls itself a political party.": (
        0.0261901, 0.0000719, 0.0009493, 0.0001232, 0.0029191, 0.0022099,
    ),
}  # fmt: skip
LOW = np.array([0.002116, 0.000011, 0.000347, 0.000040, 0.000373, 0.000074])
HIGH = np.array([0.999858, 0.648682, 0.997533, 0.918887, 0.986303, 0.901117])


@pytest.fixture(scope="module")
def network(moderation: dict[str, Path]) -> ToxicityModel:
    return ToxicityModel(moderation["weights"])


def test_results_are_those_of_the_package(network: ToxicityModel) -> None:
    """The network gives the probabilities of its package's description."""
    found = np.abs((network.judge(list(PUBLISHED)) - LOW) / (HIGH - LOW))
    assert found == pytest.approx(np.array(list(PUBLISHED.values())), abs=2e-4)


def test_unknown_words_are_ignored(network: ToxicityModel) -> None:
    """A text without a known word is scored like an empty one; other texts change nothing."""
    rows = network.judge(["", "我要杀了你", "you idiot"])
    assert rows.shape == (3, len(LABELS))
    assert rows[0] == pytest.approx(rows[1])
    assert network.judge(["you idiot"])[0] == pytest.approx(rows[2], abs=1e-6)


@pytest.mark.parametrize("data", [b"", b"12345678", b"\xff" * 64, (2).to_bytes(8, "little") + b"{}"])
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    """A file that is not such a network does not load, and is named."""
    (tmp_path / "odd.safetensors").write_bytes(data)
    with pytest.raises(Unavailable, match=r"odd\.safetensors"):
        ToxicityModel(tmp_path / "odd.safetensors")
