"""What an embeddings engine is asked for. Values only; `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP or tokenisers. What needs the model (window, dimensions, vocabulary) is
checked by the worker.
"""

import msgspec

from homeport.domain.text import TextPrompt, TokenPrompt

EmbeddingInput = TextPrompt | TokenPrompt


class EmbeddingRequest(msgspec.Struct, frozen=True, tag="embedding_request"):
    """One vector for each of `inputs`. `dimensions` None: all the model has.

    `encoding`: the OpenAI encoding of the inputs' token ids; None: the model's own vocabulary. `is_query`: they search,
    rather than being what is to be found, for models that tell these apart.
    """

    inputs: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    encoding: str | None = None
    is_query: bool = False
