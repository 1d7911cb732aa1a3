"""From the body of an embeddings request to the engine request, checks included. Knows nothing of tokens."""

import re
from collections.abc import Callable, Sequence

from homeport.api.embeddings.inputs import parse_inputs
from homeport.api.embeddings.schema import CreateEmbeddingBody
from homeport.api.image_inputs.collection import ImageInputs
from homeport.domain import validation
from homeport.domain.content import ImagePart
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.kinds import IMAGE_EMBEDDINGS
from homeport.domain.models import InstalledModel, ResolvedModel

FORMATS = ("float", "base64")

# OpenAI's models of 2022 came in pairs: one for queries, one for documents. Those for similarity compare texts of one
# kind; models that distinguish queries from documents embed such texts as queries.
_QUERY_MODELS = re.compile(r"text-search-.+-query-\d+|code-search-.+-text-\d+|text-similarity-.+")
_NONE_INSTALLED = "`homeport pull clip-vit-b-32` installs one that embeds images"


def to_request(body: CreateEmbeddingBody, resolved: ResolvedModel, images: ImageInputs) -> EmbeddingRequest:
    """Make the engine request, whose images `images` writes later. Raises InvalidRequest naming the field."""
    validation.check_length("user", body.user, validation.LABEL_CHARS)
    validation.check_choice("encoding_format", body.encoding_format, FORMATS)
    validation.check_integer("dimensions", body.dimensions, 1, validation.TOKEN_ID_MAX)
    inputs = parse_inputs(body, images)
    is_query = bool(_QUERY_MODELS.fullmatch(resolved.requested_name))
    return EmbeddingRequest(inputs, body.dimensions, resolved.encoding, is_query)


def check_images(
    engine_request: EmbeddingRequest, resolved: ResolvedModel, installed: Callable[[], Sequence[InstalledModel]]
) -> None:
    """Raise InvalidRequest for images if the model embeds only text; it names one of those that are `installed`."""
    image = next((each for each in engine_request.inputs if isinstance(each, ImagePart)), None)
    if image is None or IMAGE_EMBEDDINGS in resolved.model.facts.capabilities:
        return
    names = [model.facts.name for model in installed() if IMAGE_EMBEDDINGS in model.facts.capabilities]
    instead = f"use `{names[0]}` for images" if names else _NONE_INSTALLED
    raise InvalidRequest(
        f"The model `{excerpt(resolved.requested_name)}` embeds only text: {instead}.",
        param=image.param,
        code="unsupported_content_type",
    )
