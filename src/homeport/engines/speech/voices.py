"""The voices: Kokoro's own names, and who speaks for OpenAI's. Knows nothing of files or text.

A name's first letter is the voice's language (a American, b British, z Mandarin, …), its second the gender.
"""

from collections.abc import Collection
from enum import StrEnum

import msgspec

from homeport.domain.errors import InvalidRequest


class SpeechLanguage(StrEnum):
    """What a sentence is written in; `MIXED`: Mandarin and English words side by side."""

    ENGLISH = "english"
    MANDARIN = "mandarin"
    MIXED = "mixed"


class Voice(msgspec.Struct, frozen=True):
    """Who speaks English sentences and who Mandarin ones: names of Kokoro's. The same one, where it was asked for."""

    english: str
    mandarin: str

    @property
    def is_british(self) -> bool:
        """Whether English words sound as in Britain."""
        return self.english.startswith("b")

    def speakers(self, language: SpeechLanguage) -> tuple[str, ...]:
        """Whose voice a sentence is spoken in; of two, the middle between them, which knows both languages."""
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
"""Five bear the same name in Kokoro; the others are a voice of the same gender. `zf_xiaoni` speaks for none of them:
a third of its words are misheard."""


def find(name: str, known: Collection[str]) -> Voice:
    """The voice of this name among the installed ones. Raises InvalidRequest that lists them."""
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
