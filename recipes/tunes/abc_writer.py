"""Writes songs as ABC text, which any music program reads. Knows nothing of models."""

from fractions import Fraction

from homeport.engines.music.score import MODES
from homeport.engines.music.tunes.layout import METRES, TICKS, NoteToken, tonic_pitch
from recipes.tunes.songs import Song

_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_SHARP_NAMES = {"Db": "C#", "Eb": "D#"}
_MODE_STEPS = {"major": 0, "minor": 9, "dorian": 2, "mixolydian": 7}
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHARPS = "FCGDAEB"
_ABC_MODES = {"major": "", "minor": "m", "dorian": "dor", "mixolydian": "mix"}
_UNIT = TICKS // 2  # an eighth note


def written(song: Song, number: int, title: str, tonic: int) -> str:
    """Return a song with its sections repeated, on a tonic."""
    mode = MODES[song.heading.mode]
    name = (_NAMES if mode in {"major", "mixolydian"} else _MINOR_NAMES)[tonic]
    signature = _signature((tonic - _MODE_STEPS[mode]) % 12)
    if 1 in signature.values():
        name = _SHARP_NAMES.get(name, name)
    head = f"X:{number}\nT:{title}\nM:{METRES[song.heading.metre]}\nL:1/8\nK:{name}{_ABC_MODES[mode]}\n"
    lines, tick = [], (song.heading.bar_ticks - song.upbeat) % song.heading.bar_ticks
    for _, notes in song.sections:
        bars, bar, altered = [], [], dict[str, int]()
        for note in notes:
            bar.append(_note(note, tonic_pitch(tonic), signature, altered))
            tick = (tick + note.ticks) % song.heading.bar_ticks
            if not tick:
                bars.append(" ".join(bar))
                bar, altered = [], {}
        lines.append(" | ".join(bars) + " ||")
    return head + "\n".join(lines) + "\n"


def _signature(major: int) -> dict[str, int]:
    """The letters that the key signature of a major key alters."""
    sharps = major * 7 % 12
    if sharps > 6:
        return dict.fromkeys(_SHARPS[sharps - 12 :], -1)
    return dict.fromkeys(_SHARPS[:sharps], 1)


def _note(note: NoteToken, zero: int, signature: dict[str, int], altered: dict[str, int]) -> str:
    length = Fraction(note.ticks, _UNIT)
    time = "" if length == 1 else str(length)
    if note.pitch is None:
        return f"z{time}"
    pitch = zero + note.pitch
    letter, shift = _spelled(pitch % 12, signature)
    octave = (pitch - shift - 60 - _LETTERS[letter]) // 12
    name = letter.lower() + "'" * (octave - 1) if octave > 0 else letter + "," * -octave
    sign = ""
    if altered.get(name, signature.get(letter, 0)) != shift:
        sign, altered[name] = {1: "^", -1: "_", 0: "="}[shift], shift
    return f"{sign}{name}{time}"


def _spelled(pitch_class: int, signature: dict[str, int]) -> tuple[str, int]:
    """The letter and its alteration: as in the scale if it can be, else a natural, else a sharp or flat."""
    for letter, value in _LETTERS.items():
        if (value + signature.get(letter, 0)) % 12 == pitch_class:
            return letter, signature.get(letter, 0)
    for letter, value in _LETTERS.items():
        if value == pitch_class:
            return letter, 0
    shift = -1 if -1 in signature.values() else 1
    return next((letter, shift) for letter, value in _LETTERS.items() if (value + shift) % 12 == pitch_class)
