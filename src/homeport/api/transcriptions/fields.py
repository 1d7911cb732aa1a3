"""Every field of the audio endpoints and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport

_S, _A, _R = FieldSupport.SERVED, FieldSupport.ACCEPTED, FieldSupport.REFUSED

_FILE = FieldNote(
    "file", _S, "flac, m4a, mp3, mp4, mpeg, mpga, oga, ogg, wav or webm, told by content; 25 MB, 4 hours."
)
_MODEL = FieldNote("model", _S, "A model's own name, or an OpenAI name that stands for one.")
_TEMPERATURE = FieldNote(
    "temperature", _S, "0 to 1; 0 starts with the likeliest words and warms up where they look wrong."
)

_TRANSCRIPTIONS = (
    _FILE,
    _MODEL,
    FieldNote(
        "language",
        _S,
        "ISO 639-1, or auto; zh writes the prompt's script or simplified; extensions: zh-hans, zh-hant.",
    ),
    FieldNote("languages", _S, "The likeliest of these is taken for the spoken one."),
    FieldNote("keywords", _S, "Words to expect, 64 tokens of the model at most."),
    FieldNote("prompt", _S, "What was said before, and its style: also its Chinese script."),
    FieldNote("response_format", _S, "json, text, srt, verbose_json or vtt; diarized_json is refused."),
    _TEMPERATURE,
    FieldNote("timestamp_granularities", _S, "word, segment or both; only with verbose_json."),
    FieldNote("stream", _S, "Events as segments are heard; with json and text."),
    FieldNote("chunking_strategy", _S, "auto, which is the default, or server_vad with its three numbers."),
    FieldNote("include", _R, "Log-probabilities of single tokens are not known here; an empty array passes."),
    FieldNote("known_speaker_names", _R, "Speakers are not told apart."),
    FieldNote("known_speaker_references", _R, "Speakers are not told apart."),
)

_TRANSLATIONS = (
    _FILE,
    _MODEL,
    FieldNote("prompt", _S, "In English: what was said before, and its style."),
    FieldNote("response_format", _S, "json, text, srt, verbose_json or vtt."),
    _TEMPERATURE,
)

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {"transcriptions": _TRANSCRIPTIONS, "translations": _TRANSLATIONS}
"""By endpoint: the capability's name in `Registry.resolve`."""
