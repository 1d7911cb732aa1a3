"""Every field of the moderations endpoint, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import Field, Status

_S = Status.SERVED

FIELDS: Mapping[str, tuple[Field, ...]] = {
    "moderations": (
        Field(
            "input",
            _S,
            "A text, up to 1024 texts, or text and image_url parts judged together (data: URLs; remote ones are off).",
        ),
        Field(
            "model",
            _S,
            "Its categories: 7 of 2023's text-moderation-001 to -004, 11 of other text-moderation names, else all 13; "
            "without it omni-moderation-latest.",
        ),
    )
}
"""By endpoint: the capability's name in `Registry.resolve`."""
