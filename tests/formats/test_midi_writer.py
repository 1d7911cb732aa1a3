"""MIDI files, read back by a reader of this test's own."""

from fractions import Fraction

import pytest

from homeport.formats.midi_writer import TICKS, MidiNote, MidiSong, MidiTrack, write_midi

SONG = MidiSong("A tune", 165.0, (6, 8), -2, True)
Event = tuple[int, str, tuple[int, ...] | bytes]


def _read(data: bytes) -> tuple[tuple[int, int, int], list[list[Event]]]:
    """Return format, number of tracks and ticks, and each track's events: tick, kind and data."""
    assert data[:8] == b"MThd\0\0\0\6"
    head = tuple(int.from_bytes(data[at : at + 2], "big") for at in (8, 10, 12))
    tracks, at = [], 14
    while at < len(data):
        assert data[at : at + 4] == b"MTrk"
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        tracks.append(_events(data[at + 8 : end]))
        at = end
    return (head[0], head[1], head[2]), tracks


def _events(data: bytes) -> list[Event]:
    events: list[Event] = []
    at = tick = 0
    while at < len(data):
        delta, at = _number(data, at)
        tick += delta
        status = data[at]
        if status == 0xFF:
            size, start = _number(data, at + 2)
            events.append((tick, f"meta {data[at + 1]:02x}", data[start : start + size]))
            at = start + size
        else:
            size = 1 if status >> 4 == 0xC else 2
            events.append((tick, f"{status:02x}", tuple(data[at + 1 : at + 1 + size])))
            at += 1 + size
    return events


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while True:
        value = value << 7 | data[at] & 0x7F
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def _note(start: Fraction | int, length: Fraction | int, pitch: int = 60) -> MidiNote:
    return MidiNote(Fraction(start), Fraction(length), pitch, 90)


def test_the_heading_is_read_back() -> None:
    """Title, tempo, metre and key signature are in the first track of a file of format 1."""
    head, tracks = _read(write_midi(SONG, []))
    assert head == (1, 1, TICKS)
    assert tracks[0] == [
        (0, "meta 03", b"A tune"),
        (0, "meta 51", (363636).to_bytes(3, "big")),
        (0, "meta 58", bytes([6, 3, 24, 8])),
        (0, "meta 59", bytes([254, 1])),
        (0, "meta 2f", b""),
    ]


def test_notes_are_read_back() -> None:
    """Each note starts and ends at its tick, on its track's channel, after name, volume, pan and program."""
    notes = (_note(0, Fraction(1, 3)), _note(Fraction(1, 3), 300, 64))
    track = _read(write_midi(SONG, [MidiTrack("flute", 73, notes, pan=-1.0, volume=80)]))[1][1]
    assert track == [
        (0, "meta 03", b"flute"),
        (0, "b0", (7, 80)),
        (0, "b0", (10, 1)),
        (0, "c0", (73,)),
        (0, "90", (60, 90)),
        (160, "80", (60, 0)),
        (160, "90", (64, 90)),
        (160 + 300 * TICKS, "80", (64, 0)),
        (160 + 300 * TICKS, "meta 2f", b""),
    ]


def test_drums_have_their_channel() -> None:
    """Drums are on channel 10 and no other track is, however many there are."""
    tracks = [MidiTrack(str(n), 0, (_note(0, 1),)) for n in range(15)] + [MidiTrack("drums", 0, (), is_drums=True)]
    read = _read(write_midi(SONG, tracks))[1]
    channels = [next(kind for _, kind, _ in track if kind[0] == "c") for track in read[1:]]
    assert channels == [f"c{n:x}" for n in (*range(9), *range(10, 16), 9)]


def test_a_repeated_pitch_ends_the_one_before() -> None:
    """A note that overlaps the next one of its pitch ends where that starts."""
    track = _read(write_midi(SONG, [MidiTrack("a", 0, (_note(0, 3), _note(1, 1)))]))[1][1]
    assert [event for event in track if event[1] in {"80", "90"}] == [
        (0, "90", (60, 90)),
        (TICKS, "80", (60, 0)),
        (TICKS, "90", (60, 90)),
        (2 * TICKS, "80", (60, 0)),
    ]


def test_what_cannot_be_written_is_refused() -> None:
    """More tracks than channels, and a metre whose unit is no power of two, are refused."""
    with pytest.raises(ValueError, match="15 channels"):
        write_midi(SONG, [MidiTrack("a", 0, ())] * 16)
    with pytest.raises(ValueError, match="5/6"):
        write_midi(MidiSong("", 100, (5, 6), 0, False), [])
