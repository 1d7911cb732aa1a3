"""Reads a sound font (SF2, or SF3 with Ogg Vorbis samples): presets, their zones and samples as stored bytes.

The layout is that of the SoundFont 2.04 specification: a RIFF file with a list of samples and nine tables. In SF3 a
sample's `start` and `end` count bytes of the sample data, and its loop is relative to the sample. Decodes nothing.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

START_LOOP, END_LOOP, PAN, HOLD, DECAY, SUSTAIN, RELEASE = 2, 3, 17, 35, 36, 37, 38
ATTACK, INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, ATTENUATION = 34, 41, 43, 44, 48
COARSE_TUNE, FINE_TUNE, SAMPLE, SAMPLE_MODES, SCALE_TUNING, ROOT = 51, 52, 53, 54, 56, 58
"""Numbers of generators, as the specification gives them. Times are in timecents, levels in centibels."""
_IS_VORBIS = 0x10
_SUMMED = {PAN, HOLD, DECAY, SUSTAIN, RELEASE, ATTACK, ATTENUATION, COARSE_TUNE, FINE_TUNE}
_HEADERS = {"phdr": "<20sHHHIII", "inst": "<20sH", "shdr": "<20sIIIIIBbHH"}


class StoredSample(msgspec.Struct, frozen=True):
    """A sample: the bytes of its Ogg Vorbis file, its rate in Hz, its loop in samples and its pitch."""

    name: str
    ogg: bytes
    rate: int
    loop: tuple[int, int]
    pitch: int
    correction_cents: int


class Zone(msgspec.Struct, frozen=True):
    """A sample with the keys and velocities (both inclusive) that sound it, and the generators that are set for it."""

    sample: StoredSample
    keys: tuple[int, int]
    velocities: tuple[int, int]
    generators: Mapping[int, int]


class UnknownPresetError(Exception):
    """The sound font has no such preset."""


class SoundFont:
    """A sound font in memory. Raises ValueError if the file is none."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
            raise ValueError(f"{path.name} is not a sound font: it does not begin as one.")
        lists = {data[at : at + 4]: (at + 4, at + size) for _, at, size in _chunks(data, 12, len(data))}
        self._tables = {
            name.decode(): data[at : at + size]
            for kind in (b"sdta", b"pdta")
            for name, at, size in _chunks(data, *lists[kind])
        }

    def zones(self, bank: int, program: int) -> tuple[Zone, ...]:
        """Return the zones of a preset; bank 128 has drum kits. Raises UnknownPresetError."""
        headers = self._records("phdr")
        found = [n for n, header in enumerate(headers[:-1]) if (header[2], header[1]) == (bank, program)]
        if not found:
            raise UnknownPresetError(f"The sound font has no preset {program} in bank {bank}.")
        outer = self._generators("p", headers[found[0]][3], headers[found[0] + 1][3], INSTRUMENT)
        return tuple(zone for preset in outer for zone in self._instrument_zones(preset))

    def _instrument_zones(self, preset: Mapping[int, int]) -> Iterator[Zone]:
        headers = self._records("inst")
        number = preset[INSTRUMENT]
        for inner in self._generators("i", headers[number][1], headers[number + 1][1], SAMPLE):
            merged = {**inner}
            for name in _SUMMED & preset.keys():
                merged[name] = merged.get(name, _DEFAULTS.get(name, 0)) + preset[name]
            keys = _overlap(_range(inner.get(KEY_RANGE)), _range(preset.get(KEY_RANGE)))
            velocities = _overlap(_range(inner.get(VELOCITY_RANGE)), _range(preset.get(VELOCITY_RANGE)))
            if keys[0] <= keys[1] and velocities[0] <= velocities[1]:
                yield Zone(self._sample(inner[SAMPLE]), keys, velocities, merged)

    def _sample(self, number: int) -> StoredSample:
        name, start, end, loop_start, loop_end, rate, pitch, cents, _, kind = self._records("shdr")[number]
        if not kind & _IS_VORBIS:
            raise ValueError(f"Sample {number} is not Ogg Vorbis; only SF3 files are read.")
        text = name.split(b"\0")[0].decode("latin-1")
        return StoredSample(text, self._tables["smpl"][start:end], rate, (loop_start, loop_end), pitch, cents)

    def _generators(self, table: str, first: int, last: int, target: int) -> Iterator[dict[int, int]]:
        """Yield the generators of each zone that names its `target`, over those of the global zone before them."""
        bags = list(struct.iter_unpack("<HH", self._tables[f"{table}bag"]))
        stored = list(struct.iter_unpack("<Hh", self._tables[f"{table}gen"]))
        common: dict[int, int] = {}
        for bag in range(first, last):
            own = dict(stored[bags[bag][0] : bags[bag + 1][0]])
            if target in own:
                yield {**common, **own}
            elif bag == first:
                common = own

    def _records(self, table: str) -> list[tuple[Any, ...]]:
        return list(struct.iter_unpack(_HEADERS[table], self._tables[table]))


_DEFAULTS = {HOLD: -12000, DECAY: -12000, RELEASE: -12000, ATTACK: -12000}


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at < end:
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, at + 8, size
        at += 8 + size + (size & 1)


def _range(value: int | None) -> tuple[int, int]:
    return (0, 127) if value is None else (value & 0xFF, (value >> 8) & 0xFF)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), min(one[1], other[1])
