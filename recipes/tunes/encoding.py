"""Songs to rows of numbers: each token with its place, and the heading. Knows nothing of networks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homeport.engines.music.tunes.layout import Echoes, Place, Vocabulary, opening, places
from recipes.tunes.songs import Song

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """`values`: (length, 8), of each step the token, then tick, bars left, sections left and echoes of what follows.

    `heading`: style, metre, mode.
    """

    values: Numbers
    heading: tuple[int, int, int]


def row(song: Song, vocabulary: Vocabulary) -> Row:
    """Encode a song: the start, its upbeat, its notes."""
    heading = song.heading
    bars, after = song.sections[0][0], len(song.sections) - 1
    place, echoes = opening(heading, song.upbeat, bars, after), Echoes()
    values = [
        (Vocabulary.START, *Place(0, bars, after).clamped(), *echoes.at(place)),
        (vocabulary.upbeat_id(song.upbeat), *place.clamped(), *echoes.at(place)),
    ]
    for note, following in places(heading, song.upbeat, song.sections):
        token = vocabulary.note_id(note)
        echoes.add(place, token, following)
        place = following
        values.append((token, *place.clamped(), *echoes.at(place)))
    return Row(np.array(values, np.int64), (heading.style, heading.metre, heading.mode))
