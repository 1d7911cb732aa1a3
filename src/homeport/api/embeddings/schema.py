"""The body of an embeddings request."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import MODEL, accepted, served


class ImageUrl(msgspec.Struct, forbid_unknown_fields=True):
    """An image by its URL. `detail` may be `auto`: each model looks at images of one size."""

    url: str
    detail: str | None = None


class InputPart(msgspec.Struct, forbid_unknown_fields=True):
    """A text or an image: `{"type": "text", "text": …}`, `{"type": "image_url", "image_url": {"url": …}}`.

    Without `type`, as Jina has it: `{"text": …}`, `{"image": …}`, the latter a URL or base64.
    """

    type: str | None = None
    text: str | None = None
    image_url: ImageUrl | str | None = None
    image: str | None = None


class InputMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A message as vLLM takes it for embeddings."""

    role: str
    content: str | list[InputPart]


EmbeddingInputs = str | list[str | int | list[int] | InputPart]


class CreateEmbeddingBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. `input` is one or many, each text, token ids or an image; or `messages` is one of them."""

    model: Annotated[str | None, MODEL] = None
    input: Annotated[
        EmbeddingInputs | msgspec.UnsetType,
        served(
            "A string, token ids in the requested model's encoding, or up to 2048 of either; none empty. Extension: "
            "text and image_url parts in the array, up to 64 of them images (a data: URL, or one of a host that the "
            'operator allows), and Jina\'s `{"text"}` and `{"image"}`, for models with image_embeddings.'
        ),
    ] = msgspec.UNSET
    messages: Annotated[
        list[InputMessage] | None,
        served("As in vLLM, in place of `input`: one user message with one text or one image, for one vector."),
    ] = None
    encoding_format: Annotated[
        str | None, served("float or base64 (little-endian 32-bit floats); the numbers are identical.")
    ] = None
    dimensions: Annotated[
        int | None, served("The model's own number, or fewer if it was trained for that; else refused.")
    ] = None
    user: Annotated[
        str | None, accepted("Up to 1024 characters; identifies your end user, does not change the answer.")
    ] = None
