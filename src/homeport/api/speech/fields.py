"""Every field of the speech endpoint, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport

_S, _R = FieldSupport.SERVED, FieldSupport.REFUSED

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {
    "speech": (
        FieldNote("model", _S, "A model's own name, or an OpenAI name that stands for one."),
        FieldNote(
            "input",
            _S,
            "1 to 4096 characters, English and Mandarin, also mixed. What nobody can read (emoji, other scripts) is "
            "left out and named in the header `x-homeport-skipped`; mostly other scripts: refused.",
        ),
        FieldNote(
            "voice",
            _S,
            "OpenAI's names, whose Mandarin is a Mandarin voice's, or Kokoro's own 54. Custom voices are refused.",
        ),
        FieldNote("response_format", _S, "mp3 (default), opus (in Ogg), aac (ADTS), flac, wav, pcm (24 kHz, 16 bits)."),
        FieldNote("speed", _S, "0.25 to 4."),
        FieldNote("stream_format", _S, "audio (default) or sse, whatever the model's name."),
        FieldNote("instructions", _R, "The voices here cannot be instructed; an empty string passes."),
    )
}
"""By endpoint: the capability's name in `Registry.resolve`."""
