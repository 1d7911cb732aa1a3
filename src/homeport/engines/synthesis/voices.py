"""The voices: Kokoro's own, and the ones used for OpenAI's names. Knows nothing of files or text.

A name's first letter is the voice's language (a American, b British, z Mandarin, …), its second the gender.
"""

from collections.abc import Collection
from enum import StrEnum

import msgspec

from homeport.domain.errors import InvalidRequest


class SpeechLanguage(StrEnum):
    """The language of a sentence; `MIXED`: with Mandarin and English words."""

    ENGLISH = "english"
    MANDARIN = "mandarin"
    MIXED = "mixed"


class Voice(msgspec.Struct, frozen=True):
    """Kokoro's voices for English and for Mandarin sentences; the same for both if it was requested by its own name."""

    english: str
    mandarin: str

    @property
    def is_british(self) -> bool:
        """Whether English words have British pronunciation."""
        return self.english.startswith("b")

    def speakers(self, language: SpeechLanguage) -> tuple[str, ...]:
        """Return the voices of a sentence: one, or for a mixed sentence both, whose styles are averaged."""
        if language is SpeechLanguage.ENGLISH:
            return (self.english,)
        if language is SpeechLanguage.MANDARIN or self.english == self.mandarin:
            return (self.mandarin,)
        return (self.english, self.mandarin)


OPENAI_VOICES = {
    "alloy": Voice("af_alloy", "zf_xiaoxiao"),
    "ash": Voice("am_michael", "zm_yunxi"),
    "ballad": Voice("bm_george", "zm_yunyang"),
    "coral": Voice("af_heart", "zf_xiaoyi"),
    "echo": Voice("am_echo", "zm_yunxi"),
    "fable": Voice("bm_fable", "zm_yunyang"),
    "onyx": Voice("am_onyx", "zm_yunjian"),
    "nova": Voice("af_nova", "zf_xiaoyi"),
    "sage": Voice("af_sarah", "zf_xiaoxiao"),
    "shimmer": Voice("af_bella", "zf_xiaobei"),
    "verse": Voice("am_fenrir", "zm_yunxia"),
    "marin": Voice("af_aoede", "zf_xiaoxiao"),
    "cedar": Voice("am_puck", "zm_yunjian"),
}
"""Five have the same name in Kokoro; the others use a voice of the same gender. `zf_xiaoni` is not used, because speech
recognition misunderstands a third of its words."""


def find(name: str, known: Collection[str]) -> Voice:
    """Return the installed voice of this name. Raises InvalidRequest that lists all of them."""
    voice = OPENAI_VOICES.get(name)
    if voice and {voice.english, voice.mandarin} <= set(known):
        return voice
    if name in known:
        return Voice(name, name)
    usable = [each for each, voice in OPENAI_VOICES.items() if {voice.english, voice.mandarin} <= set(known)]
    raise InvalidRequest(
        f"Invalid value: '{name[:100]}'. Supported values are: {', '.join([*usable, *sorted(known)])}.",
        param="voice",
        code="invalid_value",
    )
