"""Build the training data: fetch the books, read them, put the tunes on the grid, count the vocabulary.

`python -m recipes.tunes.dataset FOLDER` writes tunes.json. Knows nothing of networks.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeport.engines.music.tunes.layout import MAX_BAR, STYLES, TICKS, NoteToken, Vocabulary, fills
from recipes.tunes import abc, genres, songs, sources
from recipes.tunes.songs import IrregularTuneError, Song

_MIN_COUNT = 8  # of a token in the training set
_MIN_UPBEATS = 20
_MAX_NOTE = 4 * TICKS


@dataclass(frozen=True, slots=True)
class Data:
    """The tunes for training, those held out, and the vocabulary of the first. `counts`: what was read and kept."""

    trained: list[Song]
    held_out: list[Song]
    vocabulary: Vocabulary
    counts: dict[str, Any]


def load(folder: Path) -> Data:
    """Load what `main` wrote."""
    kept = json.loads((folder / "tunes.json").read_text("utf-8"))
    notes = [NoteToken(*note) for note in kept["notes"]]
    trained, held_out = ([Song.from_json(song) for song in kept[name]] for name in ("trained", "held_out"))
    return Data(trained, held_out, Vocabulary(kept["upbeats"], notes), kept["counts"])


def build(wheel: Path) -> Data:
    """Read the books."""
    found, counts = _read(wheel)
    trained = [song for song in found if not song.is_held_out]
    notes = Counter(note for song in trained for _, part in song.sections for note in part)
    upbeats = Counter(song.upbeat for song in trained)
    vocabulary = Vocabulary(
        sorted(ticks for ticks, count in upbeats.items() if count >= _MIN_UPBEATS),
        sorted(
            (note for note, count in notes.items() if count >= _MIN_COUNT and note.ticks <= _MAX_NOTE),
            key=lambda note: (note.pitch is None, note.pitch or 0, note.ticks),
        ),
    )
    kept = [song for song in found if _is_known(song, vocabulary)]
    counts["kept"] = dict(Counter(song.book for song in kept))
    counts["styles"] = dict(Counter(STYLES[song.heading.style] for song in kept))
    return Data(
        [song for song in kept if not song.is_held_out],
        [song for song in kept if song.is_held_out],
        vocabulary,
        counts,
    )


def _read(wheel: Path) -> tuple[list[Song], dict[str, Any]]:
    found: dict[tuple[object, ...], Song] = {}
    read, dropped = Counter[str](), Counter[str]()
    for book, _, text in sources.read(wheel):
        for part in abc.split(text):
            read[book.title] += 1
            try:
                tune = abc.read(part)
                name, _ = songs.metre(tune)
                song = songs.song(tune, book.title, STYLES.index(genres.style(tune, book, name)))
                found.setdefault((song.heading, song.sections), song)
            except (abc.UnreadableTuneError, IrregularTuneError) as error:
                dropped[type(error).__name__] += 1
    return list(found.values()), {"read": dict(read), "dropped": dict(dropped)}


def _is_known(song: Song, vocabulary: Vocabulary) -> bool:
    """Whether the vocabulary has all of a song's tokens, and the mask allows each of them."""
    notes = set(vocabulary.notes)
    allowed = fills((note.ticks for note in notes), song.heading.bar_ticks)
    if song.upbeat not in vocabulary.upbeats or song.heading.bar_ticks > MAX_BAR:
        return False
    tick = (song.heading.bar_ticks - song.upbeat) % song.heading.bar_ticks
    for _, part in song.sections:
        for note in part:
            if note not in notes or note.ticks not in allowed[tick]:
                return False
            tick = (tick + note.ticks) % song.heading.bar_ticks
    return True


def main() -> None:
    """Build the data and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    data = build(sources.fetch(folder))
    kept = {
        "counts": data.counts,
        "upbeats": data.vocabulary.upbeats,
        "notes": [[note.pitch, note.ticks] for note in data.vocabulary.notes],
        "trained": [song.to_json() for song in data.trained],
        "held_out": [song.to_json() for song in data.held_out],
    }
    (folder / "tunes.json").write_text(json.dumps(kept), "utf-8")
    tokens = sum(len(part) for song in data.trained for _, part in song.sections)
    print(json.dumps(data.counts, indent=1))
    print(f"{len(data.trained)} tunes of {tokens} notes, {len(data.held_out)} held out, {len(data.vocabulary)} tokens")


if __name__ == "__main__":
    main()
