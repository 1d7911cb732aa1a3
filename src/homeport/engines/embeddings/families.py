"""Facts about embedding models that their files lack: text prefixes, and whether vectors may be shortened.

A model's family is detected by the names in its file. Unknown models get no prefix, and their vectors are not
shortened. Source: the models' own pages.
"""

import re
from collections.abc import Mapping

import msgspec


class EmbeddingFamily(msgspec.Struct, frozen=True):
    """`document` and `query`: prefixes of texts to be found and of texts that search.

    `min_dimensions`: the fewest dimensions that a vector may be cut to, if the model was trained for it (Kusupati et
    al. 2022), else None.
    """

    document: str = ""
    query: str = ""
    min_dimensions: int | None = None

    def add_prefix(self, text: str, *, is_query: bool) -> str:
        """Return the text with its prefix; a text that already begins with one of the two is unchanged."""
        if any(prefix and text.startswith(prefix) for prefix in (self.document, self.query)):
            return text
        return (self.query if is_query else self.document) + text


_SEARCH = "Represent this sentence for searching relevant passages: "
_FAMILIES: tuple[tuple[str, EmbeddingFamily], ...] = (
    (r"\be5-(small|base|large)(?!.*instruct)", EmbeddingFamily("passage: ", "query: ")),
    (r"nomic-embed-text", EmbeddingFamily("search_document: ", "search_query: ")),
    (r"embedding-?gemma", EmbeddingFamily("title: none | text: ", "task: search result | query: ", 128)),
    (
        r"qwen3-embedding",
        EmbeddingFamily(
            query="Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
            min_dimensions=32,
        ),
    ),
    (r"bge-(small|base|large)-en", EmbeddingFamily(query=_SEARCH)),
    (r"bge-(small|base|large)-zh", EmbeddingFamily(query="为这个句子生成表示以用于检索相关文章：")),
    (r"mxbai-embed-large", EmbeddingFamily(query=_SEARCH, min_dimensions=64)),
    (r"snowflake-arctic-embed.*v2", EmbeddingFamily(query="query: ")),
    (r"snowflake-arctic-embed", EmbeddingFamily(query=_SEARCH)),
)
_NAMES = ("general.name", "general.basename")


def find_family(metadata: Mapping[str, str]) -> EmbeddingFamily:
    """Return the family of a model by its file's metadata."""
    names = [re.sub(r"[\s_]+", "-", metadata.get(key, "").lower()) for key in _NAMES]
    return next(
        (family for pattern, family in _FAMILIES if any(re.search(pattern, name) for name in names)), EmbeddingFamily()
    )
