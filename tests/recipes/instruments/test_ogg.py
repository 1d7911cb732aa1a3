"""Shortened Ogg files."""

import zipfile

import numpy as np
import pytest

from homeport.engines.music.sampler.instruments import INSTRUMENTS, decode
from recipes.instruments.ogg import shortened


def test_the_beginning_is_kept() -> None:
    """A shortened file is smaller, decodes to at least the wanted samples, and they are those of the whole file."""
    with zipfile.ZipFile(INSTRUMENTS) as archive:
        whole = archive.read("accordian-c5-l.ogg")
    short = shortened(whole, 40_000)
    assert len(short) < len(whole) / 2
    decoded = decode(short)
    assert len(decoded) >= 40_000
    np.testing.assert_array_equal(decoded[:40_000], decode(whole)[:40_000])


def test_other_files_are_refused() -> None:
    """Bytes that are no Ogg page are refused."""
    with pytest.raises(ValueError, match="no Ogg page at byte 0"):
        shortened(b"RIFF" + bytes(40), 10)
