"""Speech goes back through transcription, over HTTP, and the words are compared."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import openai
import pytest

from tests.samples.audio_samples import error_rate
from tests.system.speech_server import speaking

ENGLISH = "My train leaves at half past seven, and I have not packed anything yet."
MANDARIN = "今天天气很好，我们去公园散步，然后一起吃晚饭。"
MIXED = "这个周末我们打算去看 Harry Potter 的电影，你要不要一起来？"


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, kokoro: Mapping[str, Path], whisper: Path
) -> Iterator[openai.OpenAI]:
    """The official client of a server with both models."""
    assert kokoro
    assert whisper.exists()
    with (
        speaking(tmp_path_factory.mktemp("round-trip") / "log") as server,
        openai.OpenAI(base_url=server.base, api_key="sk-test", max_retries=0, timeout=180) as made,
    ):
        yield made


def heard(client: openai.OpenAI, text: str, voice: str, language: str) -> str:
    """Return the text after speech and transcription."""
    sound = client.audio.speech.create(model="tts-1", voice=voice, input=text).read()
    return client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", sound), language=language).text


def units(text: str) -> list[str]:
    """Return Latin words, single Han characters, and numbers."""
    return re.findall(r"[a-z']+|\d[\d,.:]*(?<=\d)|[\u4e00-\u9fff]", text.lower())


@pytest.mark.parametrize(
    ("text", "voice", "language"),
    [
        (ENGLISH, "alloy", "en"),
        (ENGLISH, "bm_george", "en"),
        (MANDARIN, "nova", "zh"),
        (MANDARIN, "zm_yunyang", "zh"),
        (MIXED, "coral", "zh"),
    ],
)
def test_what_is_spoken_is_understood(client: openai.OpenAI, text: str, voice: str, language: str) -> None:
    """At most one word (character) in ten is wrong."""
    understood = heard(client, text, voice, language)
    assert error_rate(units(text), units(understood)) <= 0.1, understood


def test_english_numbers_are_understood(client: openai.OpenAI) -> None:
    """Money, a percentage, a unit and a year are transcribed as they were written."""
    understood = heard(client, "In 1999 she paid $25 for 3 kg of apples, 12.5% more than before.", "onyx", "en")
    for spellings in (("1999",), ("$25", "25 dollars"), ("3 k", "3k", "three k"), ("12.5%", "12.5 percent")):
        assert any(each in understood for each in spellings), understood


def test_mandarin_numbers_are_understood(client: openai.OpenAI) -> None:
    """A date and an amount are transcribed as digits or as words."""
    understood = heard(client, "我在2026年11月25日花了25美元买书。", "echo", "zh")
    for spellings in (
        ("2026", "二零二六"),
        ("11月", "十一月"),
        ("25日", "25号", "二十五日"),
        ("25美元", "二十五美元", "$25"),
    ):
        assert any(each in understood for each in spellings), understood
