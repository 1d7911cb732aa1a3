"""The body of embeddings, its checks, and the engine request that it becomes. Knows no model and no token."""

import re
from typing import Annotated

import msgspec

from homeport.api import validation
from homeport.api.compatibility import MODEL, accepted, served
from homeport.api.prompts import Given, parse_prompts
from homeport.domain.embeddings import EmbeddingInput, EmbeddingRequest
from homeport.domain.models import ResolvedModel
from homeport.domain.text import TextPrompt

MAX_INPUTS = 2048
FORMATS = ("float", "base64")

# OpenAI's models of 2022 came in pairs, for what searches and for what is to be found; those for similarity compare
# alike things, for which models that tell these sides apart ask for the searching one.
_QUERIES = re.compile(r"text-search-.+-query-\d+|code-search-.+-text-\d+|text-similarity-.+")


class CreateEmbeddingBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. `input` is one or many, each text or token ids."""

    model: Annotated[str | None, MODEL] = None
    input: Annotated[
        Given, served("A string, token ids in the requested model's encoding, or up to 2048 of either; none empty.")
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

    def checked(self) -> tuple[EmbeddingInput, ...]:
        """Check everything that needs no model, and return the inputs. Raises InvalidRequest that names the field."""
        validation.check_length("user", self.user, validation.LABEL_CHARS)
        validation.check_choice("encoding_format", self.encoding_format, FORMATS)
        validation.check_integer("dimensions", self.dimensions, 1, validation.TOKEN_ID_MAX)
        found = parse_prompts("input", self.input, MAX_INPUTS)
        for at, each in enumerate(found):
            if isinstance(each, TextPrompt):
                validation.check_length(
                    "input" if isinstance(self.input, str) else f"input[{at}]", each.text, len(each.text), 1
                )
        return found

    def to_request(self, given: tuple[EmbeddingInput, ...], resolved: ResolvedModel) -> EmbeddingRequest:
        """Make the engine request."""
        is_query = bool(_QUERIES.fullmatch(resolved.requested_name))
        return EmbeddingRequest(given, self.dimensions, resolved.encoding, is_query)
