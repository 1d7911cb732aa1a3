"""The bundled instruments."""

import numpy as np
import pytest

from homeport.engines.music.sampler import instruments
from homeport.engines.music.sampler.instruments import INSTRUMENTS, InstrumentSet

LENGTH = 20_000


@pytest.fixture
def bundled() -> InstrumentSet:
    return InstrumentSet(INSTRUMENTS)


def test_the_file_is_small() -> None:
    """The instruments take less than 2 MB."""
    assert INSTRUMENTS.stat().st_size < 2_000_000


def test_the_licence_is_beside_them() -> None:
    """The licence and its copyright notices are shipped beside the recordings."""
    text = INSTRUMENTS.with_name("instruments-license.md").read_text(encoding="utf-8")
    assert "MIT license" in text
    assert "Frank Wen" in text


def test_zones_cover_all_keys(bundled: InstrumentSet) -> None:
    """Every key of an instrument but of drums has one zone, shifted by no more than ten semitones in its range."""
    for instrument in bundled.instruments:
        if instrument.is_drums:
            continue
        covered = [key for zone in instrument.zones for key in range(zone.keys[0], zone.keys[1] + 1)]
        assert covered == list(range(128))
        for key in range(instrument.range[0], instrument.range[1] + 1):
            assert abs(instrument.zone(key).pitch - key) < 10.5, (instrument.name, key)


def test_instruments_are_about_as_loud(bundled: InstrumentSet) -> None:
    """The middle keys of the instruments, held for half a second, are within 8 dB of each other."""
    levels = []
    for instrument in bundled.instruments:
        if not instrument.is_drums:
            middle = sum(instrument.range) // 2
            tone = bundled.tone(instrument, middle, LENGTH).samples[:LENGTH]
            levels.append(10 * np.log10(np.mean(np.square(tone))))
    assert max(levels) - min(levels) < 8


def test_a_longer_tone_begins_alike(bundled: InstrumentSet) -> None:
    """A tone that is computed again for a longer note begins with the same samples."""
    fiddle = bundled.instrument("fiddle")
    short = bundled.tone(fiddle, 70, LENGTH).samples[:LENGTH].copy()
    longer = bundled.tone(fiddle, 70, 10 * LENGTH).samples
    assert len(longer) >= 10 * LENGTH
    np.testing.assert_array_equal(longer[:LENGTH], short)


def test_drums_end_by_themselves(bundled: InstrumentSet) -> None:
    """A drum's sound is whole, whatever length is asked for, and ends in silence."""
    drums = bundled.instrument("drums")
    tone = bundled.tone(drums, 38, 10_000_000)
    assert tone.is_whole
    assert len(tone.samples) < 3 * instruments.RATE
    assert abs(float(tone.samples[-1])) < 1e-6


def test_kept_tones_are_bounded(bundled: InstrumentSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tones that were not played for longest are dropped when those that are kept exceed their limit."""
    monkeypatch.setattr(instruments, "_MAX_KEPT_SAMPLES", 5 * LENGTH)
    flute = bundled.instrument("flute")
    for key in range(60, 80):
        bundled.tone(flute, key, LENGTH)
    kept = [len(tone.samples) for tone in bundled._tones.values()]
    assert sum(kept) == bundled._n_kept <= 5 * LENGTH
    assert ("flute", 79) in bundled._tones


def test_unknown_instruments_are_refused(bundled: InstrumentSet) -> None:
    """An instrument that is not there is a KeyError."""
    with pytest.raises(KeyError):
        bundled.instrument("theremin")
