"""Names of voices."""

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.engines.speech.voices import (
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
def test_every_voice_of_openai_has_speakers(name: str) -> None:
    """Each name has an English and a Mandarin speaker of the same gender, and for a mixed sentence both."""
    voice = find(name, KNOWN)
    assert (voice.english[0] in "ab", voice.mandarin[0]) == (True, "z")
    assert voice.english[1] == voice.mandarin[1]
    assert voice.speakers(SpeechLanguage.ENGLISH) == (voice.english,)
    assert voice.speakers(SpeechLanguage.MANDARIN) == (voice.mandarin,)
    assert voice.speakers(SpeechLanguage.MIXED) == (voice.english, voice.mandarin)


def test_a_voice_of_the_model_speaks_everything_itself() -> None:
    """Its own name means this voice, whatever the language."""
    voice = find("zf_xiaoxiao", KNOWN)
    assert voice == Voice("zf_xiaoxiao", "zf_xiaoxiao")
    assert {voice.speakers(language) for language in SpeechLanguage} == {("zf_xiaoxiao",)}


def test_only_what_is_installed_is_offered() -> None:
    """Unknown names are refused with those that can be had; an OpenAI name whose speakers are missing is not one."""
    with pytest.raises(InvalidRequest, match="Supported values are: alloy, af_alloy, zf_xiaoxiao") as refused:
        find("echo", {"af_alloy", "zf_xiaoxiao"})
    assert refused.value.param == "voice"
