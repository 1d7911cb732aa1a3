"""Parts as the tracks of a MIDI file. Knows nothing of the file's bytes and of sound."""

from collections.abc import Iterable

from homeport.engines.music.parts import Part
from homeport.engines.music.sampler import instruments
from homeport.engines.music.score import PITCH_CLASSES, Mode, TunePlan
from homeport.formats.midi_writer import MidiNote, MidiSong, MidiTrack, write_midi

_FIFTH = 7
_FULL_VOLUME = 100
# How many semitones above the tonic the major key of the same signature is.
_RELATIVE_MAJOR: dict[Mode, int] = {"major": 0, "minor": 3, "dorian": 10, "mixolydian": 5}
_MAX_SHARPS = 6


def midi_file(parts: Iterable[Part], plan: TunePlan, title: str) -> bytes:
    """Return the parts of all bars as a MIDI file: a track for each name of a part, the tempo that of the plan.

    Raises KeyError for an unknown instrument.
    """
    bars: dict[str, list[Part]] = {}
    for part in parts:
        bars.setdefault(part.name, []).append(part)
    tracks = [_track(name, of_bars) for name, of_bars in bars.items()]
    quarters_per_minute = plan.bpm * float(plan.metre.beat_length)
    metre = (plan.metre.count, plan.metre.unit)
    song = MidiSong(title, quarters_per_minute, metre, sharps(plan), plan.key.mode == "minor")
    return write_midi(song, tracks)


def sharps(plan: TunePlan) -> int:
    """Return the sharps of the plan's key signature, negative for flats, from -5 to 6."""
    major = (plan.key.tonic + _RELATIVE_MAJOR[plan.key.mode]) % PITCH_CLASSES
    count = major * _FIFTH % PITCH_CLASSES
    return count if count <= _MAX_SHARPS else count - PITCH_CLASSES


def _track(name: str, bars: list[Part]) -> MidiTrack:
    first = bars[0]
    instrument = instruments.load().instrument(first.instrument)
    notes = tuple(MidiNote(note.start, note.length, note.pitch, note.velocity) for part in bars for note in part.notes)
    volume = min(127, round(_FULL_VOLUME * first.volume**0.5))
    return MidiTrack(name, instrument.program, notes, instrument.is_drums, first.pan, volume)
