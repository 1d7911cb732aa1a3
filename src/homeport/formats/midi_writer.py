"""Writes Standard MIDI Files of format 1: tempo, time signature, key and tracks of notes.

Knows nothing of why the notes are what they are. Times are in quarter notes; the file has `TICKS` of them a quarter.
"""

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

TICKS = 480
"""Ticks a quarter note: a multiple of 2, 3 and 5, so that triplets and sixteenths are exact."""
DRUM_CHANNEL = 9
_CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)
_MAX_TEMPO = 0xFFFFFF
_NOTE_ON, _NOTE_OFF, _PROGRAM, _CONTROL = 0x90, 0x80, 0xC0, 0xB0
_VOLUME, _PAN = 7, 10
_TEMPO_EVENT, _METRE_EVENT, _KEY_EVENT, _NAME_EVENT, _END_EVENT = 0x51, 0x58, 0x59, 0x03, 0x2F


class MidiNote(msgspec.Struct, frozen=True):
    """A note: `start` and `length` in quarter notes, pitch 0 to 127, velocity 1 to 127."""

    start: Fraction
    length: Fraction
    pitch: int
    velocity: int


class MidiTrack(msgspec.Struct, frozen=True):
    """A track with the notes of one instrument.

    `program`: General MIDI's number, counted from 0; for drums, of the kit. `pan`: -1 (left) to 1 (right). `volume`: 0
    to 127.
    """

    name: str
    program: int
    notes: tuple[MidiNote, ...]
    is_drums: bool = False
    pan: float = 0.0
    volume: int = 100


class MidiSong(msgspec.Struct, frozen=True):
    """What stands before the notes.

    `quarters_per_minute`: the tempo. `metre`: as (6, 8). `sharps`: the sharps of the key signature, negative for flats,
    from -7 to 7. `is_minor`: whether that signature is named after its minor key.
    """

    title: str
    quarters_per_minute: float
    metre: tuple[int, int]
    sharps: int
    is_minor: bool


def write_midi(song: MidiSong, tracks: Sequence[MidiTrack]) -> bytes:
    """Return a MIDI file.

    Raises ValueError if there are more than 15 tracks besides drums, or a metre whose unit is no power of 2.
    """
    melodic = sum(not track.is_drums for track in tracks)
    if melodic > len(_CHANNELS):
        raise ValueError(f"MIDI has {len(_CHANNELS)} channels besides drums, fewer than {melodic} tracks need.")
    channels = iter(_CHANNELS)
    chunks = [_chunk(b"MTrk", _heading(song))]
    chunks += [_chunk(b"MTrk", _track(track, DRUM_CHANNEL if track.is_drums else next(channels))) for track in tracks]
    return _chunk(b"MThd", struct.pack(">HHH", 1, len(chunks), TICKS)) + b"".join(chunks)


def _heading(song: MidiSong) -> bytes:
    count, unit = song.metre
    if unit & (unit - 1) or unit < 1:
        raise ValueError(f"A metre of {count}/{unit} cannot be written: its unit is no power of 2.")
    tempo = min(round(60_000_000 / song.quarters_per_minute), _MAX_TEMPO)
    events = [
        _meta(_NAME_EVENT, song.title.encode()),
        _meta(_TEMPO_EVENT, tempo.to_bytes(3, "big")),
        # 24 MIDI clocks to a click of the metronome, 8 thirty-seconds to a quarter note.
        _meta(_METRE_EVENT, bytes([count, unit.bit_length() - 1, 24, 8])),
        _meta(_KEY_EVENT, struct.pack(">bB", song.sharps, song.is_minor)),
        _meta(_END_EVENT, b""),
    ]
    return b"".join(b"\0" + event for event in events)


def _track(track: MidiTrack, channel: int) -> bytes:
    events = [
        b"\0" + _meta(_NAME_EVENT, track.name.encode()),
        b"\0" + bytes([_CONTROL | channel, _VOLUME, max(0, min(127, track.volume))]),
        b"\0" + bytes([_CONTROL | channel, _PAN, max(0, min(127, round(64 + 63 * track.pan)))]),
        b"\0" + bytes([_PROGRAM | channel, track.program]),
    ]
    at = 0
    for tick, message in sorted(_messages(track.notes, channel)):
        events.append(_quantity(tick - at) + message)
        at = tick
    return b"".join([*events, b"\0" + _meta(_END_EVENT, b"")])


def _messages(notes: Iterable[MidiNote], channel: int) -> Iterable[tuple[int, bytes]]:
    """Yield tick and message of each note's start and end. Sorted, an end comes before a start at the same tick.

    A note that would sound when the same pitch starts again ends there.
    """
    starts: dict[int, list[int]] = {}
    for note in notes:
        starts.setdefault(note.pitch, []).append(round(note.start * TICKS))
    for note in notes:
        start = round(note.start * TICKS)
        end = max(round((note.start + note.length) * TICKS), start + 1)
        end = min([end, *(later for later in starts[note.pitch] if later > start)])
        yield start, bytes([_NOTE_ON | channel, note.pitch, note.velocity])
        yield end, bytes([_NOTE_OFF | channel, note.pitch, 0])


def _meta(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + _quantity(len(data)) + data


def _quantity(value: int) -> bytes:
    """Return a number in groups of seven bits, all but the last with the highest bit set."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    return bytes(reversed(groups))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack(">I", len(data)) + data
