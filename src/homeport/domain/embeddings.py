"""The request to an embeddings engine. Values only: `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP or tokenizers. The worker checks what needs the model (window, dimensions,
vocabulary).
"""

import msgspec

from homeport.domain.content import ImagePart
from homeport.domain.text import TextPrompt, TokenPrompt

EmbeddingInput = TextPrompt | TokenPrompt | ImagePart


class EmbeddingRequest(msgspec.Struct, frozen=True, tag="embedding_request"):
    """Asks for one vector per element of `inputs`. `dimensions` None: all that the model has.

    `encoding`: the OpenAI encoding of the inputs' token ids; None: the model's own vocabulary. `is_query`: the inputs
    are search queries, not documents, for models that distinguish the two. Images are only for models that can embed
    them (`kinds.IMAGE_EMBEDDINGS`). `counts_only`: the answer is the number of each text's tokens, `TokenCounts`;
    nothing is computed, and a text may be longer than the window. Models that embed images do not count.
    """

    inputs: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    encoding: str | None = None
    is_query: bool = False
    counts_only: bool = False
