import pytest

from homeport.engines.embeddings.families import EmbeddingFamily, of


@pytest.mark.parametrize(
    ("name", "document", "query"),
    [
        ("multilingual-e5-small", "passage: ", "query: "),
        ("Multilingual E5 Large", "passage: ", "query: "),
        ("e5-base-v2", "passage: ", "query: "),
        ("multilingual-e5-large-instruct", "", ""),
        ("nomic-embed-text-v1.5", "search_document: ", "search_query: "),
        ("Embeddinggemma 300m", "title: none | text: ", "task: search result | query: "),
        ("bge-m3", "", ""),
        ("all-MiniLM-L6-v2", "", ""),
    ],
)
def test_families_are_told_by_their_names(name: str, document: str, query: str) -> None:
    """Documented prefixes come with the names that makers use; every other model gets none."""
    found = of({"general.name": name})
    assert (found.document, found.query) == (document, query)
    assert of({"general.basename": name}) == found


def test_only_some_families_shorten() -> None:
    """Vectors are shortened for models trained so, and not for e5."""
    assert of({"general.name": "Qwen3 Embedding 0.6B"}).min_dimensions == 32
    assert of({"general.name": "multilingual-e5-small"}).min_dimensions is None
    assert of({}) == EmbeddingFamily()
