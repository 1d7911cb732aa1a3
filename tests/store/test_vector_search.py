"""Searches of vector stores: rankings, filters, changes of the files, and words of English and Chinese."""

from pathlib import Path

import msgspec
import pytest

from homeport.domain.vector_stores import Filter, SearchQuery
from homeport.store.database import Database
from tests.store.vector_stores import PROJECT, VectorStores, new_file, vector


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> VectorStores:
    return VectorStores(database, tmp_path)


def query(text: str, *numbers: float, limit: int = 10, **fields: object) -> SearchQuery:
    return SearchQuery(texts=(text,), vectors=(vector(*numbers),), limit=limit, **fields)  # type: ignore[arg-type]


def test_meaning_and_words_are_combined(kept: VectorStores) -> None:
    """The chunk that is first in both rankings is first with a score of 1, whatever language its words have."""
    store_id = kept.create()
    kept.add(store_id, "file-a", {"The cat sleeps on the sofa.": vector(1, 0, 0)})
    kept.add(store_id, "file-b", {"狗在花园里跑。": vector(0, 1, 0), "Prices rise.": vector(0, 0, 1)})
    (first, *_) = kept.search(store_id, query("Where do cats sleep?", 1, 0.1, 0))
    assert (first.file_id, first.filename) == ("file-a", "file-a.txt")
    assert first.score == pytest.approx(1)
    (first, *_) = kept.search(store_id, query("狗在哪里", 0.1, 1, 0))
    assert (first.file_id, first.number, first.text) == ("file-b", 0, "狗在花园里跑。")


def test_words_find_what_meaning_does_not(kept: VectorStores) -> None:
    """A rare word, such as the number of a part, is found although the vectors say otherwise."""
    store_id = kept.create()
    texts = {f"Part number XK{at} of the pump.": vector(1, at / 1000) for at in range(90)}
    kept.add(store_id, "file-a", texts)
    found = kept.search(store_id, query("xk57", 1, 0, limit=3))
    assert "XK57 " in found[0].text
    by_meaning = kept.search(store_id, query("xk57", 1, 0, limit=3, word_weight=0.0))
    assert "XK0 " in by_meaning[0].text
    assert by_meaning[0].score == pytest.approx(1)


def test_filters_limit_the_files(kept: VectorStores) -> None:
    """Only chunks of files whose attributes meet the filter are found, also if others are nearer."""
    store_id = kept.create()
    kept.add(store_id, "file-a", {"old": vector(1, 0)}, year=1999)
    kept.add(store_id, "file-b", {"new": vector(0, 1)}, year=2024)
    recent = Filter("gte", "year", 2000)
    assert [each.file_id for each in kept.search(store_id, query("old", 1, 0, filter=recent))] == ["file-b"]
    assert kept.search(store_id, query("old", 1, 0, filter=Filter("gt", "year", 2024))) == []


def test_a_threshold_leaves_out_low_scores(kept: VectorStores) -> None:
    """Chunks with a score under the threshold are not returned."""
    store_id = kept.create()
    kept.add(store_id, "file-a", {"near": vector(1, 0), "far": vector(0, 1)})
    found = kept.search(store_id, query("", 1, 0, threshold=0.5, word_weight=0.0))
    assert [each.text for each in found] == ["near"]


def test_several_queries_are_one_search(kept: VectorStores) -> None:
    """A chunk's score is the mean of its scores for the queries, and by vectors alone the best of them."""
    store_id = kept.create()
    kept.add(store_id, "file-a", {"sun": vector(1, 0, 0), "moon": vector(0, 1, 0), "sea": vector(0, 0, 1)})
    both = SearchQuery(texts=("sun", "moon"), vectors=(vector(1, 0, 0), vector(0, 1, 0)), limit=2)
    assert {each.text for each in kept.search(store_id, both)} == {"sun", "moon"}
    assert kept.search(store_id, both)[0].score == pytest.approx(0.5, abs=0.3)
    by_vectors = msgspec.structs.replace(both, word_weight=0.0)
    assert [each.score for each in kept.search(store_id, by_vectors)] == pytest.approx([1, 1])


def test_searches_follow_the_changes_of_a_store(kept: VectorStores) -> None:
    """Added files are found at the next search, removed ones are not, and a file is searched once it is indexed."""
    store_id = kept.create()
    everything = query("text", 1, 1, limit=50)
    for at in range(6):
        kept.add(store_id, f"file-{at}", {f"text {at} {each}": vector(1, at + 1) for each in range(at + 1)})
        assert len({each.file_id for each in kept.search(store_id, everything)}) == at + 1
    kept.files.delete(PROJECT, store_id, "file-5")
    kept.files.delete(PROJECT, store_id, "file-0")
    assert {each.file_id for each in kept.search(store_id, everything)} == {f"file-{at}" for at in (1, 2, 3, 4)}
    kept.files.add(PROJECT, store_id, new_file("file-0"), "")
    assert len({each.file_id for each in kept.search(store_id, everything)}) == 4


def test_several_stores_are_searched_as_one(kept: VectorStores) -> None:
    """The chunks of all stores are ranked together, and those of other stores are not found."""
    stores = [kept.create() for _ in range(3)]
    for at, store_id in enumerate(stores):
        kept.add(store_id, f"file-{at}", {f"text {at}": vector(1, at)})
    chosen = [kept.stores.get(PROJECT, store_id) for store_id in stores[:2]]
    found = kept.searcher.search(chosen, query("text", 1, 0))
    assert {each.file_id for each in found} == {"file-0", "file-1"}


def test_an_empty_store_has_nothing(kept: VectorStores) -> None:
    """A search of a store without files returns no chunk."""
    assert kept.search(kept.create(), query("anything", 1, 0)) == []


def test_damaged_vectors_are_left_out(kept: VectorStores) -> None:
    """A chunk whose vector has another size than the others is not found, and the others are."""
    store_id = kept.create()
    kept.add(store_id, "file-a", {"good": vector(1, 0), "bad": vector(1, 0)[:5]})
    assert [each.text for each in kept.search(store_id, query("good", 1, 0))] == ["good"]


def test_nothing_of_an_index_stays_on_disk(kept: VectorStores, tmp_path: Path) -> None:
    """The files that are mapped to memory have no names, so none is left when the process ends."""
    store_id = kept.create()
    kept.add(store_id, "file-a", {"text": vector(1, 0)})
    kept.search(store_id, query("text", 1, 0))
    assert list((tmp_path / "index").iterdir()) == []
