import pytest

from homeport.engines.embeddings.families import EmbeddingFamily, find_family


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
def test_families_are_detected_by_their_names(name: str, document: str, query: str) -> None:
    """Models get the documented prefixes by their names; unknown models get none."""
    found = find_family({"general.name": name})
    assert (found.document, found.query) == (document, query)
    assert find_family({"general.basename": name}) == found


def test_only_some_families_support_fewer_dimensions() -> None:
    """Vectors are shortened for models trained for it, and not for e5."""
    assert find_family({"general.name": "Qwen3 Embedding 0.6B"}).min_dimensions == 32
    assert find_family({"general.name": "multilingual-e5-small"}).min_dimensions is None
    assert find_family({}) == EmbeddingFamily()
