"""The body of an edits request."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import MODEL, served


class EditBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body."""

    model: Annotated[str | None, MODEL] = None
    input: Annotated[
        str | None,
        served("The text to edit; default empty. An edit has at most 512 tokens plus twice those of the input."),
    ] = None
    instruction: Annotated[str, served("What to do with the text.")]
    n: Annotated[int | None, served("1 to 20.")] = None
    temperature: Annotated[
        float | None,
        served("0 to 2; above 0, three candidates are generated per edit and the most likely is returned."),
    ] = None
    top_p: Annotated[float | None, served("0 to 1.")] = None
