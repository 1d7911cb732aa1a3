"""Export the checkpoint to the file that the server uses, with weights in half precision.

`python -m recipes.tunes.export FOLDER INTO` writes INTO/composer.npz. Knows nothing of training.
"""

import argparse
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from homeport.engines.music.tunes.layout import Vocabulary
from homeport.engines.music.tunes.network import CONFIGURATION
from recipes.tunes import dataset, train
from recipes.tunes.network import TuneNetwork

NAME = "composer.npz"
_TIME = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever it is written


def export(network: TuneNetwork, vocabulary: Vocabulary, into: Path) -> Path:
    """Write the model file."""
    configuration = {
        "heads": network.size.heads,
        "layers": network.size.layers,
        "upbeats": vocabulary.upbeats,
        "notes": [[note.pitch, note.ticks] for note in vocabulary.notes],
    }
    entries = {name: value.numpy().astype(np.float16) for name, value in network.state_dict().items()}
    entries[CONFIGURATION] = np.frombuffer(json.dumps(configuration).encode(), np.uint8)
    into.mkdir(parents=True, exist_ok=True)
    path = into / NAME
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in entries.items():
            content = io.BytesIO()
            np.save(content, value, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _TIME), content.getvalue(), zipfile.ZIP_DEFLATED)
    return path


def main() -> None:
    """Export and print the size and hash."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("into", type=Path)
    arguments = parser.parse_args()
    network, _ = train.load(arguments.folder)
    path = export(network, dataset.load(arguments.folder).vocabulary, arguments.into)
    content = path.read_bytes()
    print(path.name, len(content), hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
