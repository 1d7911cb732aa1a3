"""Recordings are read within limits, and heard by a model whose projector hears."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from homeport.domain.content import Attachment, AudioPart, ImagePart
from homeport.domain.errors import InvalidRequest
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.media import sounds
from homeport.engines.text.media.encoder import EncoderFiles, MediaEncoder
from homeport.engines.text.media.sounds import read_sound
from tests.engines.text.media.conftest import MakePicture
from tests.samples.tiny_projectors import ear

PARAM = "messages[0].content[0].input_audio.data"


def tone(seconds: float, rate: int = 24_000) -> bytes:
    """Return a WAV file of a tone of 440 Hz."""
    samples = np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, rate, 0, "NONE", ""))
        writer.writeframes((samples * 20_000).astype("<i2").tobytes())
    return file.getvalue()


@pytest.fixture
def recording(tmp_path: Path) -> AudioPart:
    """A recording of two seconds."""
    path = tmp_path / "tone.wav"
    path.write_bytes(tone(2))
    return AudioPart(Attachment(path), PARAM)


def test_sound_is_resampled(recording: AudioPart) -> None:
    """The samples are one channel at the wanted rate, with the tone's frequency."""
    samples = np.frombuffer(read_sound(recording.audio.local_path, 16_000, PARAM), np.float32)
    assert abs(len(samples) - 32_000) < 100
    spectrum = np.abs(np.fft.rfft(samples[:16_000]))
    assert int(spectrum.argmax()) == 440


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"not a sound", "invalid_audio_format"),
        (b"", "invalid_audio_format"),
        (b"OggS" + bytes(60), "invalid_audio_format"),
        (tone(0), "invalid_audio"),
        (tone(1)[:30], "invalid_audio"),
        (b"fLaC" + bytes(60), "invalid_audio"),
        (tone(3), "audio_too_long"),
    ],
)
def test_what_cannot_be_read_is_refused(
    data: bytes, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other formats, damaged files and long recordings are the caller's errors, which name the field."""
    monkeypatch.setattr(sounds, "MAX_SECONDS", 2.5)
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InvalidRequest) as caught:
        read_sound(path, 16_000, PARAM)
    assert (caught.value.code, caught.value.param) == (code, PARAM)


def test_a_model_hears_with_a_projector_that_hears(
    qwen: Path, model: LlamaExecutor, recording: AudioPart, make_picture: MakePicture, tmp_path: Path
) -> None:
    """A recording becomes embeddings by its content, once; pictures are refused by a projector that only hears."""
    width = model.traits.media_width
    encoder = MediaEncoder(EncoderFiles(qwen, ear(tmp_path / "ear.gguf", width), 1), width)
    try:
        heard = encoder.read(recording)
        encoder.encode([(recording, heard)])
        assert encoder.read(recording) is heard
        (block,) = heard.blocks
        assert block.rows is not None
        assert block.rows.shape == (375, width)
        assert np.isfinite(block.rows).all()
        assert block.is_causal
        picture: ImagePart = make_picture((" red",) * 4)
        with pytest.raises(InvalidRequest, match="does not see") as caught:
            encoder.read(picture)
        assert (caught.value.param, caught.value.code) == (picture.param, "unsupported_content_type")
        assert encoder.encodes == 1
    finally:
        encoder.close()
