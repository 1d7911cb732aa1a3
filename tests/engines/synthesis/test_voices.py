"""Names of voices."""

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.engines.synthesis.voices import (
    OPENAI_VOICES,
    SpeechLanguage,
    Voice,
    find,
)

KNOWN = {name for voice in OPENAI_VOICES.values() for name in (voice.english, voice.mandarin)}


@pytest.mark.parametrize(
    "name",
    "alloy ash ballad coral echo fable nova onyx sage shimmer verse marin cedar".split(),  # noqa: SIM905 - as OpenAI lists them
)
def test_every_openai_voice_has_kokoro_voices(name: str) -> None:
    """Each name has an English and a Mandarin voice of the same gender, and both for a mixed sentence."""
    voice = find(name, KNOWN)
    assert (voice.english[0] in "ab", voice.mandarin[0]) == (True, "z")
    assert voice.english[1] == voice.mandarin[1]
    assert voice.speakers(SpeechLanguage.ENGLISH) == (voice.english,)
    assert voice.speakers(SpeechLanguage.MANDARIN) == (voice.mandarin,)
    assert voice.speakers(SpeechLanguage.MIXED) == (voice.english, voice.mandarin)


def test_a_kokoro_voice_speaks_all_languages() -> None:
    """A model's own voice name is used for every language."""
    voice = find("zf_xiaoxiao", KNOWN)
    assert voice == Voice("zf_xiaoxiao", "zf_xiaoxiao")
    assert {voice.speakers(language) for language in SpeechLanguage} == {("zf_xiaoxiao",)}


def test_only_installed_voices_are_offered() -> None:
    """Unknown names are refused with the available ones; an OpenAI name without its voices is not available."""
    with pytest.raises(InvalidRequest, match="Supported values are: alloy, af_alloy, zf_xiaoxiao") as refused:
        find("echo", {"af_alloy", "zf_xiaoxiao"})
    assert refused.value.param == "voice"
