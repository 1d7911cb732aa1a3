"""Vector stores on real weights over real HTTP, as openai-python uses them: documents in, chunks out."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import docx
import openai
import pytest

from tests.samples.documents import write_chinese_pdf, write_pdf
from tests.system.server import ServerProcess, running

MODEL = "multilingual-e5-small"
FACTS = [
    ("The Brimstone lighthouse was built in 1871.", "When was the lighthouse built?"),
    ("Our office closes at six on Fridays.", "At what time does the office close on Friday?"),
    ("The red pump needs oil of type K40.", "Which oil does the red pump need?"),
    ("The dog of Maria is called Bruno.", "What is the name of Maria's dog?"),
    ("公司的年假是十五天。", "员工每年有多少天年假？"),
    ("图书馆周一不开放。", "图书馆哪一天关门？"),
    ("打印机的密码是四个零。", "打印机密码是什么？"),
    ("小王的生日在三月。", "小王什么时候过生日？"),
]


@pytest.fixture(scope="module")
def store_server(tmp_path_factory: pytest.TempPathFactory, multilingual_e5: Path) -> Iterator[ServerProcess]:
    assert multilingual_e5.exists()
    log = tmp_path_factory.mktemp("store_server") / "log"
    with running(log, "--model", MODEL) as started:
        yield started


@pytest.fixture(scope="module")
def stores(store_server: ServerProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=store_server.base, api_key="test", max_retries=0)


def write_docx(path: Path, text: str) -> None:
    document = docx.Document()
    document.add_paragraph(text)
    document.save(str(path))


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


WRITERS: dict[str, Callable[[Path, str], None]] = {
    "txt": write_text,
    "md": write_text,
    "docx": write_docx,
    "pdf": lambda path, text: write_pdf(path, [text]) if text.isascii() else write_chinese_pdf(path, text),
}


@pytest.fixture(scope="module")
def library(stores: openai.OpenAI, tmp_path_factory: pytest.TempPathFactory) -> openai.types.VectorStore:
    """A store with a document for each fact, of all types, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("library")
    suffixes = itertools.cycle(WRITERS)
    paths = []
    for at, (fact, _) in enumerate(FACTS):
        suffix = next(suffixes)
        paths.append(folder / f"fact{at}.{suffix}")
        WRITERS[suffix](paths[-1], fact)
    paths.append(folder / "picture.png")
    paths[-1].write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    store = stores.vector_stores.create(name="Library")
    uploads = [path.open("rb") for path in paths]
    try:
        batch = stores.vector_stores.file_batches.upload_and_poll(store.id, files=uploads, poll_interval_ms=100)
    finally:
        for each in uploads:
            each.close()
    assert (batch.status, batch.file_counts.completed, batch.file_counts.failed) == ("completed", len(FACTS), 1)
    return stores.vector_stores.retrieve(store.id)


def test_documents_of_all_types_are_found(stores: openai.OpenAI, library: openai.types.VectorStore) -> None:
    """For each question, in English and Chinese, the document with the answer is first, whatever its type."""
    for at, (fact, question) in enumerate(FACTS):
        page = stores.vector_stores.search(library.id, query=question, max_num_results=3)
        (first, *rest) = page.data
        assert first.filename.startswith(f"fact{at}."), question
        assert first.content[0].text == fact
        assert all(1 >= first.score >= other.score >= 0 for other in rest)
        assert len(rest) == 2


def test_the_store_counts_its_files(library: openai.types.VectorStore) -> None:
    """The store is completed, with one failed file, and says how many bytes it uses and which model made it."""
    assert (library.status, library.name, library.file_counts.total) == ("completed", "Library", len(FACTS) + 1)
    assert library.usage_bytes > len(FACTS) * 384 * 4
    assert library.to_dict()["embedding_model"] == MODEL


def test_a_failed_file_says_why(stores: openai.OpenAI, library: openai.types.VectorStore) -> None:
    """A file of a type that cannot be read has failed with OpenAI's code."""
    (failed,) = stores.vector_stores.files.list(library.id, filter="failed")
    assert failed.last_error is not None
    assert failed.last_error.code == "unsupported_file"
    assert ".docx" in failed.last_error.message


def test_attributes_filter_searches(stores: openai.OpenAI, library: openai.types.VectorStore) -> None:
    """Only files whose attributes meet the filter are found."""
    files = list(stores.vector_stores.files.list(library.id, filter="completed", order="asc", limit=3))
    assert len(files) == len(FACTS)
    for at, file in enumerate(files[:2]):
        stores.vector_stores.files.update(file.id, vector_store_id=library.id, attributes={"shelf": at + 1})
    wanted = {"type": "gte", "key": "shelf", "value": 2}
    page = stores.vector_stores.search(library.id, query=FACTS[0][1], filters=wanted)  # type: ignore[arg-type]
    assert [result.file_id for result in page.data] == [files[1].id]
    assert page.data[0].attributes == {"shelf": 2}


def test_one_file_is_added_polled_and_read(stores: openai.OpenAI, tmp_path: Path) -> None:
    """`upload_and_poll` indexes one file; its content is its chunks, whose overlap repeats; deleting removes it."""
    store = stores.vector_stores.create()
    path = tmp_path / "long.txt"
    path.write_text("\n".join(f"Line {at} says that number {at} is here." for at in range(200)))
    with path.open("rb") as upload:
        file = stores.vector_stores.files.upload_and_poll(
            vector_store_id=store.id,
            file=upload,
            poll_interval_ms=100,
            chunking_strategy={
                "type": "static",
                "static": {"max_chunk_size_tokens": 4096, "chunk_overlap_tokens": 100},
            },
        )
    assert (file.status, file.last_error) == ("completed", None)
    assert file.to_dict()["chunk_limit_tokens"] == 508
    texts = [part.text or "" for part in stores.vector_stores.files.content(file.id, vector_store_id=store.id)]
    assert len(texts) > 3
    assert all(f"Line {at} says" in "\n".join(texts) for at in range(200))
    stores.vector_stores.files.delete(file.id, vector_store_id=store.id)
    assert stores.vector_stores.search(store.id, query="number 7").data == []
    assert stores.vector_stores.delete(store.id).deleted


def test_a_restart_loses_and_repeats_nothing(tmp_path: Path, multilingual_e5: Path) -> None:
    """A server that is killed while it indexes completes the rest after its next start, each chunk once."""
    assert multilingual_e5.exists()
    log = tmp_path / "log"
    text = "\n".join(f"Item {at} of the long list has the number {at * 7}." for at in range(500))
    with running(log, "--model", MODEL) as started:
        client = openai.OpenAI(base_url=started.base, api_key="test", max_retries=0)
        store = client.vector_stores.create()
        files = [client.files.create(file=(f"{at}.txt", text.encode()), purpose="assistants") for at in range(2)]
        client.vector_stores.file_batches.create(store.id, file_ids=[file.id for file in files])
        started.wait("chunks are stored", lambda: client.vector_stores.retrieve(store.id).usage_bytes > 0, 60)
        assert client.vector_stores.retrieve(store.id).status == "in_progress"
        started.child.kill()
    with running(log, "--model", MODEL) as again:
        client = openai.OpenAI(base_url=again.base, api_key="test", max_retries=0)
        again.wait("all is indexed", lambda: client.vector_stores.retrieve(store.id).status == "completed", 120)
        assert client.vector_stores.retrieve(store.id).file_counts.completed == 2
        chunks = [list(client.vector_stores.files.content(each.id, vector_store_id=store.id)) for each in files]
        assert chunks[0] == chunks[1]
        found = client.vector_stores.search(store.id, query="Item 432 of the list", max_num_results=2)
        assert all("Item 432 " in result.content[0].text for result in found.data)
