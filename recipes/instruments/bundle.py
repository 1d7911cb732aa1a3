"""Makes the file of the sampler from a sound font: zones chosen, samples shortened, loudness evened out.

Samples stay as they are encoded in the sound font, so nothing is lost by encoding them again.
"""

import itertools
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from homeport.engines.music.sampler import instruments
from homeport.engines.music.sampler.instruments import RATE, Instrument
from recipes.instruments import measures, ogg
from recipes.instruments import sound_font as sf
from recipes.instruments.measures import Sound
from recipes.instruments.selection import DRUM_BANK, DRUM_KEYS, PRESETS, VELOCITY, Preset
from recipes.instruments.sound_font import SoundFont

_LEVEL = 0.1
_DRUM_PEAK = 0.5
_MEASURED_S = 0.8
_ONSET = 4000
# Smaller errors are left: an accordion has two reeds, apart by as much, and a fiddle its vibrato.
_RETUNED_CENTS = 18
_NO_LOOP = 0
_LOOPS = (1, 3)
_MIN_ATTACK_S, _MIN_RELEASE_S = 0.002, 0.18


def write(font: SoundFont, licence: str, file: Path) -> None:
    """Write the instruments with their licence. The same sound font gives the same bytes."""
    files: dict[str, bytes] = {}
    chosen = [_instrument(font, preset, files) for preset in PRESETS]
    content = {instruments.INDEX: msgspec.json.encode(chosen), **files}
    _pack(content, file)
    measured = instruments.InstrumentSet(file)
    levelled = [_levelled(measured, preset) for preset in PRESETS]
    _pack({**content, instruments.INDEX: msgspec.json.encode(levelled), "LICENSE.md": licence.encode()}, file)


def _pack(content: Mapping[str, bytes], file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            kind = zipfile.ZIP_STORED if name.endswith(".ogg") else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), data, kind)


def _instrument(font: SoundFont, preset: Preset, files: dict[str, bytes]) -> Instrument:
    is_drums = preset.bank == DRUM_BANK
    zones = [zone for zone in font.zones(preset.bank, preset.program) if _sounds(zone.velocities)]
    if is_drums:
        zones = [zone for zone in zones if any(zone.keys[0] <= key <= zone.keys[1] for key in DRUM_KEYS)]
        first = {zone.keys: zone for zone in reversed(zones)}
        return Instrument(
            preset.name, preset.program, True, preset.keys, tuple(_drum(zone, preset, files) for zone in first.values())
        )
    spread = _spread(zones, preset)
    bounds = [math.floor((_pitch(low) + _pitch(high)) / 2) for low, high in itertools.pairwise(spread)]
    keys = zip([0, *(bound + 1 for bound in bounds)], [*bounds, 127], strict=True)
    kept = tuple(_held(zone, span, preset, files) for zone, span in zip(spread, keys, strict=True))
    return Instrument(preset.name, preset.program, False, preset.keys, kept)


def _spread(zones: Sequence[sf.Zone], preset: Preset) -> list[sf.Zone]:
    """Return the fewest zones, by pitch, of which one is near enough to each of the preset's keys."""
    ordered = sorted({round(_pitch(zone)): zone for zone in zones}.items())
    low, high = preset.keys
    kept: list[sf.Zone] = []
    key = low
    while key <= high:
        near = [(pitch, zone) for pitch, zone in ordered if abs(pitch - key) <= preset.max_shift]
        pitch, zone = near[-1] if near else min(ordered, key=lambda one: abs(one[0] - key))
        if not kept or kept[-1] is not zone:
            kept.append(zone)
        key = max(pitch + preset.max_shift, key) + 1
    return kept


def _sounds(velocities: tuple[int, int]) -> bool:
    return velocities[0] <= VELOCITY <= velocities[1]


def _pitch(zone: sf.Zone) -> float:
    """Return the MIDI number at which a zone sounds as recorded."""
    root = zone.generators.get(sf.ROOT, -1)
    cents = zone.generators.get(sf.FINE_TUNE, 0) + zone.sample.correction_cents
    return (zone.sample.pitch if root < 0 else root) - zone.generators.get(sf.COARSE_TUNE, 0) - cents / 100


def _held(zone: sf.Zone, keys: tuple[int, int], preset: Preset, files: dict[str, bytes]) -> instruments.Zone:
    loops = zone.generators.get(sf.SAMPLE_MODES, _NO_LOOP) in _LOOPS
    n_samples = zone.sample.loop[1] + 64 if loops else int(preset.max_seconds * zone.sample.rate)
    file = _store(zone, n_samples, files)
    return instruments.Zone(
        keys=keys,
        file=file,
        rate=zone.sample.rate,
        pitch=round(_pitch(zone), 4),
        loop=_decoded_loop(zone, files[file]) if loops else None,
        gain=1.0,
        attack_s=round(max(_seconds(zone, sf.ATTACK), _MIN_ATTACK_S), 4),
        hold_s=round(_seconds(zone, sf.HOLD), 4),
        decay_s=round(_seconds(zone, sf.DECAY), 4),
        sustain_db=zone.generators.get(sf.SUSTAIN, 0) / 10,
        release_s=min(max(_seconds(zone, sf.RELEASE), _MIN_RELEASE_S), preset.max_release_s),
    )


def _drum(zone: sf.Zone, preset: Preset, files: dict[str, bytes]) -> instruments.Zone:
    file = _store(zone, int(preset.max_seconds * zone.sample.rate), files)
    return instruments.Zone(
        keys=zone.keys,
        file=file,
        rate=zone.sample.rate,
        pitch=round(_pitch(zone), 4),
        loop=None,
        gain=10 ** (-zone.generators.get(sf.ATTENUATION, 0) / 200 * 0.4),
        attack_s=0.0002,
        hold_s=0.0,
        decay_s=8.0,
        sustain_db=100.0,
        release_s=preset.max_release_s,
    )


def _decoded_loop(zone: sf.Zone, file: bytes) -> tuple[int, int]:
    """Return the loop, moved earlier where FFmpeg leaves out a sample's last block, because the file has one page."""
    start, end = zone.sample.loop
    missing = max(0, end - len(instruments.decode(file)))
    return start - missing, end - missing


def _store(zone: sf.Zone, n_samples: int, files: dict[str, bytes]) -> str:
    name = f"{re.sub('[^a-z0-9]+', '-', zone.sample.name.lower()).strip('-')}.ogg"
    files[name] = ogg.shortened(zone.sample.ogg, n_samples)
    return name


def _seconds(zone: sf.Zone, generator: int) -> float:
    return float(2 ** (zone.generators.get(generator, -12000) / 1200))


def _levelled(measured: instruments.InstrumentSet, preset: Preset) -> Instrument:
    """Return an instrument in tune, with gains such that its middle zone is as loud as that of the others."""
    instrument = measured.instrument(preset.name)
    level = 10 ** (preset.level_db / 20)
    length = int(_MEASURED_S * RATE)
    tones = [measured.tone(instrument, _middle(zone), length).samples[:length] for zone in instrument.zones]
    if instrument.is_drums:
        factors = [level * _DRUM_PEAK / float(np.max(np.abs(tone))) for tone in tones]
        factors = [min(factors)] * len(factors)
    else:
        loudness = [float(np.sqrt(np.mean(np.square(tone)))) for tone in tones]
        middle = float(np.median(loudness))
        # Half of the difference, in decibels, between a zone and the middle one is evened out.
        factors = [level * _LEVEL / middle * math.sqrt(middle / own) for own in loudness]
    zones = [
        msgspec.structs.replace(zone, gain=round(zone.gain * factor, 6), pitch=_tuned(zone, tone, instrument.is_drums))
        for zone, factor, tone in zip(instrument.zones, factors, tones, strict=True)
    ]
    return msgspec.structs.replace(instrument, zones=tuple(zones))


def _tuned(zone: instruments.Zone, tone: Sound, is_drum: bool) -> float:
    """Return the zone's pitch, corrected by how much its middle key is measured to be out of tune."""
    if is_drum:
        return zone.pitch
    error = measures.pitch_error_cents(tone[_ONSET:], RATE, _middle(zone))
    return round(zone.pitch + error / 100, 4) if abs(error) >= _RETUNED_CENTS else zone.pitch


def _middle(zone: instruments.Zone) -> int:
    return max(zone.keys[0], min(zone.keys[1], round(zone.pitch)))
