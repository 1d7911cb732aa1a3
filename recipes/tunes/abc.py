"""Reads melodies in ABC notation: exact times and pitches by bars and sections. What it cannot read is skipped.

Follows the ABC standard 2.1 as far as single melodies need it. Knows nothing of genres, models and tokens.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

_BODY = re.compile(
    r"(?P<bar>\[\||[:|\]]+)\s*(?P<ending>[12])?"
    r"|\[(?P<bracket>[12])"
    r"|\[(?P<inline>[A-Za-z]):[^\]]*\]"
    r"|\[(?P<chord>[^\]|]*)\](?P<chordtime>[\d/]*)"
    r"|\((?P<tuplet>\d)(?::\d*)*"
    r"|(?P<accidental>\^\^|__|[\^_=])?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<time>[\d/]*)"
    r"|(?P<rest>[zx])(?P<resttime>[\d/]*)"
    r"|(?P<broken>[<>]+)"
    r"|(?P<tie>-)"
    r"|(?P<ignored>[\s().~`uvykiHILMOPRSTJKNQUV*;!\\]|\d)"
)
_REMOVED = re.compile(r'"[^"]*"|![^!\n]*!|\+[^+\n]*\+|\{[^}]*\}|%[^\n]*|=(?:20)?\n')
_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_SHARPS = "FCGDAEB"
_MODES = {"": 0, "maj": 0, "ion": 0, "m": -3, "min": -3, "aeo": -3, "dor": -2, "mix": -1}
_KEY = re.compile(r"^([A-G])([#b]?)\s*([A-Za-z]*)((?:\s+-?8va|\s+treble|\s+bass|\s+Fiddle)*)$")
_TUPLETS = {"2": Fraction(3, 2), "3": Fraction(2, 3), "4": Fraction(3, 4), "6": Fraction(2, 6)}


class UnreadableTuneError(Exception):
    """The text uses notation that this reader does not follow, or is damaged."""


@dataclass(slots=True)
class Sound:
    """A note, or a rest (`pitch` None). `length` in quarter notes."""

    pitch: int | None
    length: Fraction
    is_tied: bool = False


@dataclass(slots=True)
class Section:
    """Bars between double bars or repeat signs; a bar is what stands between two bar lines."""

    bars: list[list[Sound]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tune:
    """A melody as written, without its repeats. `sharps`: of the key signature, negative for flats."""

    number: int
    title: str
    rhythm: str
    transcriber: str
    metre: tuple[int, int]
    tonic: int
    sharps: int
    sections: tuple[Section, ...]


def split(text: str) -> Iterator[str]:
    """Yield the text of each tune of a file."""
    for part in re.split(r"(?m)^(?=X:)", text):
        if part.startswith("X:"):
            yield re.split(r"\n\s*\n(?=%|\s*\n|X:)", part)[0]


def read(text: str) -> Tune:
    """Read one tune. Raises UnreadableTuneError."""
    head, body = _divided(text)
    metre = _metre(head.get("M", ""))
    tonic, sharps = _key(head.get("K", ""))
    unit = _unit(head.get("L"), metre)
    sections = _Reader(unit, sharps).read(body)
    return Tune(
        number=int(re.sub(r"\D", "", head["X"]) or 0),
        title=head.get("T", ""),
        rhythm=head.get("R", "").lower(),
        transcriber=head.get("Z", "").strip('" '),
        metre=metre,
        tonic=tonic,
        sharps=sharps,
        sections=tuple(sections),
    )


def _divided(text: str) -> tuple[dict[str, str], str]:
    head: dict[str, str] = {}
    body = []
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        is_field = bool(colon) and len(name) == 1 and name.isalpha()
        if "K" not in head:
            if is_field:
                head.setdefault(name, value.partition("%")[0].strip())
        elif not is_field:
            body.append(line)
        elif name in "KMLV":
            raise UnreadableTuneError(f"The field {name} changes within the tune.")
    return head, "\n".join(body)


def _metre(text: str) -> tuple[int, int]:
    text = {"C": "4/4", "C|": "2/2"}.get(text, text)
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found:
        raise UnreadableTuneError(f"No metre: {text}.")
    return int(found[1]), int(found[2])


def _unit(text: str | None, metre: tuple[int, int]) -> Fraction:
    if text:
        return Fraction(text) * 4
    return Fraction(1, 16 if Fraction(*metre) < Fraction(3, 4) else 8) * 4


def _key(text: str) -> tuple[int, int]:
    found = _KEY.fullmatch(text)
    if not found or (mode := found[3].lower()[:3]) not in _MODES:
        raise UnreadableTuneError(f"No key: {text}.")
    shift = {"#": 1, "b": -1, "": 0}[found[2]]
    sharps = _FIFTHS[found[1]] + 7 * shift + _MODES[mode]
    if abs(sharps) > len(_SHARPS):
        raise UnreadableTuneError(f"No key: {text}.")
    return (_NATURAL[found[1]] + shift) % 12, sharps


def _time(text: str) -> Fraction:
    whole, slash, part = text.partition("/")
    length = Fraction(int(whole or 1))
    if not slash:
        return length
    digits = part.strip("/")
    return length / int(digits) if digits else length / 2 ** (1 + len(part))


class _Reader:
    """The body of a tune: its notes, bars and sections."""

    def __init__(self, unit: Fraction, sharps: int) -> None:
        self._unit = unit
        letters = _SHARPS[:sharps] if sharps >= 0 else _SHARPS[sharps:]
        self._signature = dict.fromkeys(letters, 1 if sharps > 0 else -1)
        self._written: dict[tuple[str, str], int] = {}
        self._sections, self._bar = [Section()], list[Sound]()
        self._broken, self._tuplet, self._left = "", Fraction(1), 0
        self._first_ending: int | None = None

    def read(self, body: str) -> list[Section]:
        text, position = _REMOVED.sub("", body), 0
        while position < len(text):
            found = _BODY.match(text, position)
            if not found or found["inline"]:
                raise UnreadableTuneError(f"Unknown notation: {text[position : position + 10]!r}.")
            position = found.end()
            self._take(found)
        self._end_bar()
        return [section for section in self._sections if section.bars]

    def _take(self, found: re.Match[str]) -> None:
        if found["bar"]:
            self._bar_line(found["bar"], found["ending"])
        elif found["bracket"]:
            self._ending(found["bracket"])
        elif found["tuplet"]:
            if found["tuplet"] not in _TUPLETS:
                raise UnreadableTuneError("An unusual tuplet.")
            self._tuplet, self._left = _TUPLETS[found["tuplet"]], int(found["tuplet"])
        elif found["letter"]:
            self._add(self._pitch(found["accidental"], found["letter"], found["octave"]), found["time"])
        elif found["rest"]:
            self._add(None, found["resttime"])
        elif found["chord"] is not None:
            self._chord(found["chord"], found["chordtime"])
        elif found["broken"]:
            self._broken = found["broken"]
        elif found["tie"] and self._bar:
            self._bar[-1].is_tied = True

    def _chord(self, text: str, time: str) -> None:
        notes = [part for part in _BODY.finditer(text) if part["letter"]]
        if not notes:
            raise UnreadableTuneError("A chord without notes.")
        pitches = [self._pitch(part["accidental"], part["letter"], part["octave"]) for part in notes]
        self._add(max(pitches), time or notes[0]["time"])

    def _pitch(self, accidental: str | None, letter: str, octave: str) -> int:
        name = letter.upper()
        height = 60 + _NATURAL[name] + 12 * (letter.islower() + octave.count("'") - octave.count(","))
        place = (letter, octave)
        if accidental:
            self._written[place] = {"^": 1, "_": -1, "=": 0, "^^": 2, "__": -2}[accidental]
        return height + self._written.get(place, self._signature.get(name, 0))

    def _add(self, pitch: int | None, time: str) -> None:
        length = _time(time) * self._unit
        if self._left:
            length *= self._tuplet
            self._left -= 1
        if self._broken and self._bar:
            share = Fraction(1, 2 ** len(self._broken))
            before = self._bar[-1]
            if self._broken[0] == ">":
                before.length, length = before.length + length * (1 - share), length * share
            else:
                before.length, length = before.length * share, length + before.length * (1 - share)
        self._broken = ""
        last = self._bar[-1] if self._bar else None
        if last is not None and last.is_tied and last.pitch == pitch:
            last.length, last.is_tied = last.length + length, False
        else:
            self._bar.append(Sound(pitch, length))

    def _bar_line(self, line: str, ending: str | None) -> None:
        self._end_bar()
        if line not in "|]:" and ending != "2" and self._sections[-1].bars and self._first_ending is None:
            self._sections.append(Section())
        if ending:
            self._ending(ending)

    def _ending(self, number: str) -> None:
        self._end_bar()
        section = self._sections[-1]
        if number == "1":
            self._first_ending = len(section.bars)
        elif self._first_ending is not None:
            del section.bars[self._first_ending :]
            self._first_ending = None

    def _end_bar(self) -> None:
        if self._bar:
            self._sections[-1].bars.append(self._bar)
        self._bar, self._written = [], {}
