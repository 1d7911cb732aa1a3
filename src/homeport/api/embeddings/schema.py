"""The body of an embeddings request."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import MODEL, accepted, served
from homeport.api.prompts import PromptInput


class CreateEmbeddingBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. `input` is one or many, each text or token ids."""

    model: Annotated[str | None, MODEL] = None
    input: Annotated[
        PromptInput,
        served("A string, token ids in the requested model's encoding, or up to 2048 of either; none empty."),
    ]
    encoding_format: Annotated[
        str | None, served("float or base64 (little-endian 32-bit floats); the numbers are identical.")
    ] = None
    dimensions: Annotated[
        int | None, served("The model's own number, or fewer if it was trained for that; else refused.")
    ] = None
    user: Annotated[
        str | None, accepted("Up to 1024 characters; identifies your end user, does not change the answer.")
    ] = None
