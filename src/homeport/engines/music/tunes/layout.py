"""What a melody is to the network: tokens relative to the tonic, and the place in the tune beside each of them.

Training and composing share it, so that both number places alike. Knows nothing of networks, files and prompts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from homeport.engines.music.score import MODES, Key, Metre

TICKS = 24  # a quarter note; divides triplets and thirty-second notes
STYLES = ("air", "dance", "hornpipe", "jig", "march", "reel", "slip jig", "strathspey")
METRES = ("2/4", "3/4", "4/4", "6/8", "9/8")
MAX_BAR = 108  # ticks
MAX_BARS_LEFT = 17  # in a section, an upbeat before it included; more count as this
MAX_SECTIONS_LEFT = 3
SECTION_BARS = 8  # of what is composed; the books have others too
ECHOES = (1, 2, 4, 8)  # bars back: where melodies repeat themselves
LOWEST_TONIC = 60


@dataclass(frozen=True, slots=True)
class Heading:
    """What is given before the first note: indexes into STYLES, METRES and MODES."""

    style: int
    metre: int
    mode: int

    @property
    def bar_ticks(self) -> int:
        """The length of a bar in ticks."""
        count, unit = METRES[self.metre].split("/")
        return TICKS * 4 * int(count) // int(unit)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next note begins: ticks in the bar, bars left in the section with this one, sections left after it."""

    tick: int
    bars_left: int
    sections_left: int

    def clamped(self) -> tuple[int, int, int]:
        """The indexes of the three embeddings."""
        return self.tick, min(self.bars_left, MAX_BARS_LEFT), min(self.sections_left, MAX_SECTIONS_LEFT)


@dataclass(frozen=True, slots=True)
class NoteToken:
    """A note or a rest. `pitch`: semitones above the tonic from C4 to B4 (None: a rest)."""

    pitch: int | None
    ticks: int


class Vocabulary:
    """Token ids: 0 begins a tune, then come the lengths of an upbeat, then the notes."""

    START = 0

    def __init__(self, upbeats: Iterable[int], notes: Iterable[NoteToken]) -> None:
        self.upbeats, self.notes = tuple(upbeats), tuple(notes)
        self.first_note = 1 + len(self.upbeats)
        self._upbeat_ids = {ticks: 1 + index for index, ticks in enumerate(self.upbeats)}
        self._note_ids = {note: self.first_note + index for index, note in enumerate(self.notes)}

    def __len__(self) -> int:
        return self.first_note + len(self.notes)

    def upbeat_id(self, ticks: int) -> int:
        """Return the id of an upbeat. Raises KeyError if the vocabulary lacks it."""
        return self._upbeat_ids[ticks]

    def note_id(self, note: NoteToken) -> int:
        """Return the id of a note. Raises KeyError if the vocabulary lacks it."""
        return self._note_ids[note]

    def note(self, token: int) -> NoteToken:
        """Return the note of an id."""
        return self.notes[token - self.first_note]


class Echoes:
    """What began at the same tick some bars ago, so that the network need not search for it.

    One instance follows one tune; its first bar is that of the upbeat, if there is one.
    """

    NONE = Vocabulary.START

    def __init__(self) -> None:
        self._bars: list[dict[int, int]] = [{}]

    def add(self, place: Place, token: int, after: Place) -> None:
        """Record a token that began at `place`; `after`: where the next one begins."""
        self._bars[-1][place.tick] = token
        if after.tick == 0:
            self._bars.append({})

    def at(self, place: Place) -> tuple[int, ...]:
        """Return, for each distance in ECHOES, the token that began at this tick, or NONE."""
        last = len(self._bars) - 1
        return tuple(
            self._bars[last - back].get(place.tick, self.NONE) if last >= back else self.NONE for back in ECHOES
        )


def opening(heading: Heading, upbeat: int, bars: int, sections_left: int) -> Place:
    """Return the first note's place: in an upbeat of `upbeat` ticks, or at the first bar of a section of `bars`."""
    if upbeat:
        return Place(heading.bar_ticks - upbeat, bars + 1, sections_left)
    return Place(0, bars, sections_left)


def advance(heading: Heading, place: Place, ticks: int, next_bars: int) -> Place:
    """Return the place after a note of `ticks`, which lies within the bar; the next section has `next_bars` bars."""
    tick = place.tick + ticks
    if tick < heading.bar_ticks:
        return Place(tick, place.bars_left, place.sections_left)
    if place.bars_left > 1:
        return Place(0, place.bars_left - 1, place.sections_left)
    return Place(0, next_bars, max(place.sections_left - 1, 0))


def metre_index(metre: Metre) -> int:
    """Return the index in METRES; 2/2 is written as 4/4. Raises ValueError for a metre that was not learned."""
    name = "4/4" if metre == Metre(2, 2) else f"{metre.count}/{metre.unit}"
    if name not in METRES:
        raise ValueError(f"No tunes in {name} were learned.")
    return METRES.index(name)


def heading(style: str, metre: Metre, key: Key) -> Heading:
    """Return the heading of a plan. Raises ValueError for a style or metre that was not learned."""
    return Heading(STYLES.index(style), metre_index(metre), MODES.index(key.mode))


def quarter_notes(ticks: int) -> Fraction:
    """Convert ticks."""
    return Fraction(ticks, TICKS)


def tonic_pitch(tonic: int) -> int:
    """Return the MIDI number that relative pitches count from."""
    return LOWEST_TONIC + tonic % 12


def fills(lengths: Iterable[int], bar_ticks: int) -> dict[int, tuple[int, ...]]:
    """Return, for each tick of a bar, the lengths of a note from which the bar can still be filled exactly.

    A triplet begins on an eighth note or on its half and is completed before other notes follow.
    """
    some = sorted(set(lengths))
    allowed: dict[int, tuple[int, ...]] = {}
    for tick in range(bar_ticks - 1, -1, -1):
        allowed[tick] = tuple(
            length
            for length in some
            if _continues(tick, length) and (tick + length == bar_ticks or bool(allowed.get(tick + length)))
        )
    return allowed


def _continues(tick: int, length: int) -> bool:
    is_triplet = length % 3 != 0
    if tick % 3:
        return is_triplet
    return not is_triplet or tick % 12 == 0


def places(
    heading: Heading, upbeat: int, sections: Iterable[tuple[int, tuple[NoteToken, ...]]]
) -> Iterator[tuple[NoteToken, Place]]:
    """Yield each note of whole sections (bars, notes) with the place after it."""
    parts = list(sections)
    place = opening(heading, upbeat, parts[0][0], len(parts) - 1)
    for index, (_, notes) in enumerate(parts):
        following = parts[index + 1][0] if index + 1 < len(parts) else 0
        for note in notes:
            place = advance(heading, place, note.ticks, following)
            yield note, place
