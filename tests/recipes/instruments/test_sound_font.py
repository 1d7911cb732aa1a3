"""Reading a sound font that the test writes."""

import struct
from pathlib import Path

import pytest

from recipes.instruments import sound_font as sf
from recipes.instruments.sound_font import SoundFont, UnknownPresetError

OGG = b"OggS first", b"OggS the second"


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _write(path: Path) -> Path:
    """Write a font: program 7 has an instrument of two samples, the common generators of which set a release."""
    generators = [(sf.RELEASE, -1200), (sf.KEY_RANGE, 59 << 8), (sf.SAMPLE, 0)]
    generators += [(sf.KEY_RANGE, 127 << 8 | 60), (sf.FINE_TUNE, -7), (sf.SAMPLE, 1)]
    ends = len(OGG[0]), len(OGG[0]) + len(OGG[1])
    tables = {
        b"phdr": struct.pack("<20sHHHIII", b"Test", 7, 0, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<HHHH", 0, 0, 2, 0),
        b"pgen": struct.pack("<HhHh", sf.RELEASE, 300, sf.INSTRUMENT, 0),
        b"inst": struct.pack("<20sH", b"Test", 0) + struct.pack("<20sH", b"EOI", 3),
        b"ibag": struct.pack("<HHHHHHHH", 0, 0, 1, 0, 3, 0, 6, 0),
        b"igen": b"".join(struct.pack("<Hh", *generator) for generator in generators),
        b"shdr": struct.pack("<20sIIIIIBbHH", b"Low", 0, ends[0], 10, 90, 22050, 50, 3, 0, 17)
        + struct.pack("<20sIIIIIBbHH", b"High", ends[0], ends[1], 20, 80, 44100, 70, 0, 0, 17),
    }
    lists = _chunk(b"LIST", b"sdta" + _chunk(b"smpl", b"".join(OGG)))
    lists += _chunk(b"LIST", b"pdta" + b"".join(_chunk(name, data) for name, data in tables.items()))
    path.write_bytes(_chunk(b"RIFF", b"sfbk" + lists))
    return path


def test_zones_are_read(tmp_path: Path) -> None:
    """A zone has its sample's bytes, its keys and generators; the preset's generators add to the instrument's."""
    low, high = SoundFont(_write(tmp_path / "a.sf3")).zones(0, 7)
    assert (low.sample.ogg, low.sample.rate, low.sample.loop, low.sample.pitch) == (OGG[0], 22050, (10, 90), 50)
    assert (high.sample.ogg, high.sample.name) == (OGG[1], "High")
    assert (low.keys, high.keys, high.velocities) == ((0, 59), (60, 127), (0, 127))
    assert (low.generators[sf.RELEASE], high.generators[sf.RELEASE]) == (-900, -900)
    assert (low.generators.get(sf.FINE_TUNE), high.generators[sf.FINE_TUNE]) == (None, -7)


def test_other_presets_and_files_are_refused(tmp_path: Path) -> None:
    """A preset that is not there, and a file that is no sound font, are refused by name."""
    with pytest.raises(UnknownPresetError, match="8 in bank 0"):
        SoundFont(_write(tmp_path / "a.sf3")).zones(0, 8)
    (tmp_path / "b.sf3").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"b\.sf3 is not a sound font"):
        SoundFont(tmp_path / "b.sf3")
