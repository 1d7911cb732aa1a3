"""Every field of the embeddings endpoint, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport

_S, _A = FieldSupport.SERVED, FieldSupport.ACCEPTED

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {
    "embeddings": (
        FieldNote("model", _S, "A model's own name, or an OpenAI name that stands for one."),
        FieldNote(
            "input", _S, "A text, texts, token ids of the name asked for, or arrays of them; up to 2048, none empty."
        ),
        FieldNote(
            "encoding_format", _S, "float or base64 (little-endian 32-bit floats), the same numbers bit for bit."
        ),
        FieldNote("dimensions", _S, "The model's own number; fewer only where it was trained for that, else refused."),
        FieldNote("user", _A, "Any string; identifies your user to you, changes nothing."),
    )
}
"""By endpoint: the capability's name in `Registry.resolve`."""
