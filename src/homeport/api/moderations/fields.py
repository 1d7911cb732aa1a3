"""Every field of the moderations endpoint, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport

_S = FieldSupport.SERVED

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {
    "moderations": (
        FieldNote(
            "input",
            _S,
            "A text, up to 1024 texts, or text and image_url parts judged together (data: URLs; remote ones are off).",
        ),
        FieldNote(
            "model",
            _S,
            "Its categories: 7 of 2023's text-moderation-001 to -004, 11 of other text-moderation names, else all 13; "
            "without it omni-moderation-latest.",
        ),
    )
}
"""By endpoint: the capability's name in `Registry.resolve`."""
