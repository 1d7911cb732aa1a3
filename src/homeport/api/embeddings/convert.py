"""From the body of an embeddings request to the engine request, checks included. Knows nothing of tokens."""

import re

from homeport.api.embeddings.schema import CreateEmbeddingBody
from homeport.api.prompts import parse_prompts
from homeport.domain import validation
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.models import ResolvedModel

MAX_INPUTS = 2048
FORMATS = ("float", "base64")

# OpenAI's models of 2022 came in pairs: one for queries, one for documents. Those for similarity compare texts of one
# kind; models that distinguish queries from documents embed such texts as queries.
_QUERY_MODELS = re.compile(r"text-search-.+-query-\d+|code-search-.+-text-\d+|text-similarity-.+")


def to_request(body: CreateEmbeddingBody, resolved: ResolvedModel) -> EmbeddingRequest:
    """Make the engine request. Raises InvalidRequest naming the field."""
    validation.check_length("user", body.user, validation.LABEL_CHARS)
    validation.check_choice("encoding_format", body.encoding_format, FORMATS)
    validation.check_integer("dimensions", body.dimensions, 1, validation.TOKEN_ID_MAX)
    inputs = parse_prompts("input", body.input, MAX_INPUTS, allow_empty=False)
    is_query = bool(_QUERY_MODELS.fullmatch(resolved.requested_name))
    return EmbeddingRequest(inputs, body.dimensions, resolved.encoding, is_query)
