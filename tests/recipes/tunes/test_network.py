from pathlib import Path

import numpy as np
import torch

from homeport.engines.music.tunes import network as served
from homeport.engines.music.tunes.layout import NoteToken, Vocabulary
from recipes.tunes import abc, export, songs
from recipes.tunes.encoding import row
from recipes.tunes.network import Size, TuneNetwork
from recipes.tunes.train import batch

NOTES = [NoteToken(pitch, ticks) for pitch in (0, 2, 4) for ticks in (24, 48, 96)]


def test_the_served_network_computes_what_was_trained(tmp_path: Path) -> None:
    """Step by step, from the exported file, the scores are those of torch up to half precision."""
    vocabulary = Vocabulary([0, 24], NOTES)
    torch.manual_seed(1)
    network = TuneNetwork(Size(len(vocabulary), width=32, layers=2, heads=2, hidden=48)).eval()
    song = songs.song(abc.read("X:1\nM:4/4\nL:1/4\nK:C\nC|CDEC|C4|D2D2|E2CC|C4|]\n"), "", 0)
    encoded = row(song, vocabulary)
    with torch.no_grad():
        expected = network(torch.from_numpy(encoded.values)[None], torch.tensor([encoded.heading]))[0].numpy()
    decoder = served.Decoder(served.load(export.export(network, vocabulary, tmp_path)), encoded.heading)
    got = np.stack([decoder.step(int(step[0]), tuple(int(value) for value in step[1:])) for step in encoded.values])
    assert np.abs(got - expected).max() < 0.01 * np.abs(expected).max()


def test_the_same_network_is_the_same_file(tmp_path: Path) -> None:
    """Bytes do not depend on when it is written."""
    vocabulary = Vocabulary([0], NOTES)
    network = TuneNetwork(Size(len(vocabulary), width=8, layers=1, heads=2, hidden=8))
    first, second = (export.export(network, vocabulary, tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_targets_are_the_next_tokens() -> None:
    """A batch pads its shorter rows with targets that are ignored."""
    vocabulary = Vocabulary([0], NOTES)
    texts = ("C4|C4|]", "C4|D4|C4|]")
    rows = [row(songs.song(abc.read(f"X:1\nM:4/4\nL:1/4\nK:C\n{text}\n"), "", 0), vocabulary) for text in texts]
    values, headings, targets = batch(rows, torch.Generator())
    assert values.shape == (2, 4, 8)
    assert headings.shape == (2, 3)
    assert targets[1].tolist() == rows[1].values[1:, 0].tolist()
    assert targets[0].tolist() == [*rows[0].values[1:, 0].tolist(), -100]
