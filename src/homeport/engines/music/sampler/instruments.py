"""The recorded instruments: which sample sounds at a pitch and how, read from one file. Knows nothing of notes in time.

The file is a zip of `instruments.json` (a list of `Instrument`) and Ogg Vorbis files; `recipes/instruments` writes it.
Samples are decoded when an instrument is first played, and pitch-shifted samples are kept, up to a size.
"""

import io
import threading
import zipfile
from functools import cache
from pathlib import Path

import av
import msgspec
import numpy as np
import numpy.typing as npt

RATE = 44_100
"""The sampler's rate in Hz."""
INSTRUMENTS = Path(__file__).with_name("instruments.zip")
INDEX = "instruments.json"
_MAX_KEPT_SAMPLES = 16_000_000
_GROWTH = 1.5

Samples = npt.NDArray[np.float32]


class Zone(msgspec.Struct, frozen=True):
    """A recorded sample and the MIDI keys (both inclusive) that it plays.

    `pitch`: the MIDI number, with a fraction, at which it sounds as recorded. `loop`: the samples (second excluded)
    that repeat while a note is held, or None for a sound that ends by itself. `gain`: for velocity 127. `decay_s` and
    `release_s`: the time of a fall by 100 dB, which in `decay_s` stops at `sustain_db`.
    """

    keys: tuple[int, int]
    file: str
    rate: int
    pitch: float
    loop: tuple[int, int] | None
    gain: float
    attack_s: float
    hold_s: float
    decay_s: float
    sustain_db: float
    release_s: float


class Instrument(msgspec.Struct, frozen=True):
    """An instrument: `program` is its General MIDI number, counted from 0; for drums each key is a sound of its own.

    `range`: the keys at which it sounds like itself, both inclusive.
    """

    name: str
    program: int
    is_drums: bool
    range: tuple[int, int]
    zones: tuple[Zone, ...]

    def zone(self, key: int) -> Zone:
        """Return the zone of a MIDI key: the nearest one, if none has the key."""
        return min(self.zones, key=lambda zone: max(zone.keys[0] - key, key - zone.keys[1], 0))


class Tone(msgspec.Struct, frozen=True):
    """One key of an instrument from its onset, as long as it is held: gain, attack and decay applied, at `RATE`.

    `is_whole`: the sound ends where `samples` end, however long the key is held. `release`: how it fades when let go.
    """

    samples: Samples
    release: Samples
    is_whole: bool


class InstrumentSet:
    """The instruments of a file. May be used by several threads. Raises OSError if the file cannot be read."""

    def __init__(self, file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            self._files = {name: archive.read(name) for name in archive.namelist()}
        self.instruments = msgspec.json.decode(self._files[INDEX], type=tuple[Instrument, ...])
        self._by_name = {instrument.name: instrument for instrument in self.instruments}
        self._decoded: dict[str, Samples] = {}
        self._tones: dict[tuple[str, int], Tone] = {}
        self._n_kept = 0
        self._lock = threading.Lock()

    def instrument(self, name: str) -> Instrument:
        """Return an instrument by name. Raises KeyError."""
        return self._by_name[name]

    def tone(self, instrument: Instrument, key: int, length: int) -> Tone:
        """Return the tone of a key with at least `length` samples, or the whole of one that ends sooner."""
        with self._lock:
            kept = self._tones.pop((instrument.name, key), None)
            if kept is None or not (kept.is_whole or len(kept.samples) >= length):
                self._n_kept -= 0 if kept is None else len(kept.samples)
                kept = self._shifted(instrument, key, int(length * _GROWTH))
                self._n_kept += len(kept.samples)
            self._tones[instrument.name, key] = kept
            while self._n_kept > _MAX_KEPT_SAMPLES and len(self._tones) > 1:
                self._n_kept -= len(self._tones.pop(next(iter(self._tones))).samples)
            return kept

    def _shifted(self, instrument: Instrument, key: int, length: int) -> Tone:
        zone = instrument.zone(key)
        if zone.file not in self._decoded:
            self._decoded[zone.file] = decode(self._files[zone.file])
        recorded = self._decoded[zone.file]
        target = zone.pitch if instrument.is_drums else key
        step = 2 ** ((target - zone.pitch) / 12) * zone.rate / RATE
        longest = length if zone.loop else int((len(recorded) - 3) / step)
        is_whole = zone.loop is None and longest <= length
        positions = np.arange(min(length, longest), dtype=np.float64) * step
        if zone.loop:
            start, end = zone.loop
            positions = np.where(positions < end, positions, start + (positions - start) % (end - start))
            recorded = _continued(recorded, zone.loop)
        samples = _interpolated(recorded, positions) * _envelope(zone, len(positions))
        if is_whole:
            samples[-_FADE:] *= np.linspace(1, 0, _FADE, dtype=np.float32)[-len(samples) :]
        return Tone(samples, _release(zone.release_s), is_whole)


_FADE = 256
_RELEASE_DB = 60.0
_MAX_RELEASE_S = 2.5
MAX_RELEASE_SAMPLES = int(_MAX_RELEASE_S * _RELEASE_DB / 100 * RATE)
"""How long any tone of the instruments sounds after its key is let go."""


@cache
def load(file: Path = INSTRUMENTS) -> InstrumentSet:
    """Return the instruments of a file, read once in a process. Raises OSError."""
    return InstrumentSet(file)


def decode(ogg: bytes) -> Samples:
    """Decode an Ogg Vorbis file of one channel."""
    with av.open(io.BytesIO(ogg), "r") as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32)


def _continued(recorded: Samples, loop: tuple[int, int]) -> Samples:
    """Return the samples up to the end of the loop, and the first of it again, for interpolation across its end."""
    start, end = loop
    return np.concatenate([recorded[:end], recorded[start : start + 3]])


def _interpolated(recorded: Samples, positions: npt.NDArray[np.floating]) -> Samples:
    """Return the samples at fractional positions, by cubic Hermite interpolation (Catmull-Rom)."""
    whole = positions.astype(np.int64)
    at = (positions - whole).astype(np.float32)
    padded = np.concatenate([recorded[:1], recorded])
    before, first, second, after = (padded[whole + offset] for offset in range(4))
    slope, next_slope = (second - before) / 2, (after - first) / 2
    bend = first - second
    curve = slope + at * (-3 * bend - 2 * slope - next_slope + at * (2 * bend + slope + next_slope))
    return np.asarray(first + at * curve, np.float32)


def _envelope(zone: Zone, length: int) -> Samples:
    """Return attack (linear), hold, and decay (linear in decibels) down to the level that is held."""
    times = np.arange(length, dtype=np.float32) / np.float32(RATE)
    fallen = np.clip((times - zone.attack_s - zone.hold_s) * (100 / zone.decay_s), 0, zone.sustain_db)
    levels: Samples = np.asarray(np.exp(fallen * (-np.log(10) / 20)) * zone.gain, np.float32)
    n_attack = min(int(zone.attack_s * RATE), length)
    levels[:n_attack] *= times[:n_attack] / np.float32(zone.attack_s)
    return levels


@cache
def _release(release_s: float) -> Samples:
    """Return the fall after a key is let go, down to -60 dB and then, over its last samples, to zero."""
    length = max(int(release_s * _RELEASE_DB / 100 * RATE), _FADE)
    fall = np.exp(np.linspace(0, -_RELEASE_DB * np.log(10) / 20, length)) * np.minimum(
        np.arange(length, 0, -1) / _FADE, 1
    )
    return np.asarray(fall, np.float32)
