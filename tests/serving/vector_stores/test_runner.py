"""Files indexed to their end, whatever happens meanwhile; the embeddings model is a script."""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from homeport.domain.batches import DispatchedResponse
from homeport.domain.errors import HomeportError, StorageFull
from homeport.domain.vector_stores import Chunking, StoreFile, VectorStore
from homeport.serving.vector_stores import embedding, runner
from homeport.serving.vector_stores.requests import TEXTS_AT_ONCE
from homeport.store.project_storage import SqlProjectStorage
from tests.api.fakes import installed
from tests.serving.conftest import until
from tests.serving.vector_stores.indexing_fixture import MOST, PROJECT, IndexingFixture, error, vectors

LINES = [f"Line {at} of the document has some words." for at in range(100)]
LONG = "\n".join(LINES)


async def test_a_file_is_cut_and_embedded(setup: IndexingFixture) -> None:
    """Each chunk is embedded once, as the project and the key that added the file, and the file is completed."""
    file_id = setup.add(LONG, chunking=Chunking(100, 0))
    async with setup.running_runner():
        file = await setup.ended(file_id)
    texts = setup.files.texts(PROJECT, setup.store, file_id)
    assert (file.status, file.error, file.n_chunks, file.window) == ("completed", None, len(texts), None)
    assert "\n".join(texts) == LONG
    assert setup.embedded == Counter(texts)
    assert set(setup.asked) == {(PROJECT, "key_1", "/v1/embeddings", "e5")}
    assert (setup.store_now().counts.completed, setup.store_now().revision) == (1, 1)
    assert list((setup.folder / "spool").iterdir()) == []


async def test_the_models_window_is_said(setup: IndexingFixture) -> None:
    """Chunks larger than the model's window are smaller instead, and the file says so."""
    file_id = setup.add(LONG, chunking=Chunking(4096, 2048))
    async with setup.running_runner():
        file = await setup.ended(file_id)
    assert file.window == MOST
    assert all(len(text.split()) <= MOST for text in setup.files.texts(PROJECT, setup.store, file_id))


async def test_several_files_are_indexed_at_once(setup: IndexingFixture) -> None:
    """While one file waits for the model, others are read; all are completed."""
    ids = [setup.add(f"Text {at}.") for at in range(runner.FILES_AT_ONCE + 4)]
    setup.going.clear()
    async with setup.running_runner() as running:
        await until(lambda: len(setup.asked) > 1 and running.running >= runner.FILES_AT_ONCE)
        assert running.running == runner.FILES_AT_ONCE
        setup.going.set()
        assert {(await setup.ended(file_id)).status for file_id in ids} == {"completed"}


async def test_files_are_indexed_as_soon_as_they_are_added(
    setup: IndexingFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner that is notified does not wait until it looks at the queue again."""
    monkeypatch.setattr(runner, "_POLL_INTERVAL_S", 3600.0)
    claim, looked = setup.queue.claim, threading.Event()

    def look(*args: Any) -> Sequence[tuple[StoreFile, VectorStore]]:
        found = claim(*args)
        looked.set()
        return found

    monkeypatch.setattr(setup.queue, "claim", look)
    async with setup.running_runner() as running:
        await until(looked.is_set)
        file_id = setup.add("Text.")
        running.notify()
        assert (await setup.ended(file_id)).status == "completed"


@pytest.mark.parametrize("is_kept", [True, False])
async def test_the_document_process_waits_for_more_files(
    setup: IndexingFixture, monkeypatch: pytest.MonkeyPatch, *, is_kept: bool
) -> None:
    """It reads the next file too, unless none comes for a while; then it ends."""
    if not is_kept:
        monkeypatch.setattr(runner, "DOCUMENTS_KEPT_S", 0.0)
    async with setup.running_runner() as running:
        await setup.ended(setup.add("First."))
        first = running._documents._child
        if is_kept:
            await setup.ended(setup.add("Second."))
            assert running._documents._child is first
        else:
            await until(lambda: running._documents._child is None)


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "invalid_file"), (b"\x00\x01", "unsupported_file"), (b"%PDF-1.7 x", "invalid_file")]
)
async def test_a_file_without_text_fails_alone(setup: IndexingFixture, content: bytes, code: str) -> None:
    """A file that cannot be read has failed with OpenAI's code, and the others are completed."""
    bad, good = setup.add(content), setup.add("Good text.")
    async with setup.running_runner():
        failed = await setup.ended(bad)
        assert (await setup.ended(good)).status == "completed"
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.code == code


async def test_a_restart_continues(setup: IndexingFixture) -> None:
    """A runner that stops in the middle leaves what is embedded to the next one: no chunk is lost or stored twice."""
    file_id = setup.add(LONG * 8, chunking=Chunking(100, 0))

    def stop(body: dict[str, Any]) -> DispatchedResponse:
        setup.going.clear()
        return vectors(body)

    setup.answer = stop
    async with setup.running_runner():
        await until(lambda: setup.embedded and setup.shown(file_id).bytes)
        await until(lambda: len(setup.queue.chunks_without_vector(setup.shown(file_id).seq, 1000)) < 60)
    assert setup.shown(file_id).status == "in_progress"
    first = setup.embedded.copy()
    setup.embedded.clear()
    setup.answer = vectors
    setup.going.set()
    async with setup.running_runner():
        assert (await setup.ended(file_id)).status == "completed"
    texts = Counter(setup.files.texts(PROJECT, setup.store, file_id))
    assert 0 < first.total() < texts.total()
    assert setup.embedded.total() + first.total() <= texts.total() + 3 * TEXTS_AT_ONCE
    assert setup.embedded + first >= texts


async def test_a_restart_repeats_a_short_file(setup: IndexingFixture) -> None:
    """Of a file that one request computes nothing is stored until that has answered; then it is stored once."""
    file_id = setup.add("Some text.")
    setup.going.clear()
    async with setup.running_runner():
        await until(lambda: bool(setup.asked))
    assert (setup.shown(file_id).status, setup.shown(file_id).n_chunks) == ("in_progress", None)
    setup.going.set()
    async with setup.running_runner():
        assert (await setup.ended(file_id)).n_chunks == 1
    assert setup.files.texts(PROJECT, setup.store, file_id) == ["Some text."]
    assert setup.embedded == Counter(["Some text."])


async def test_a_busy_server_is_waited_for(setup: IndexingFixture) -> None:
    """Requests that are refused for now are sent again, also more often than those that fail."""
    answers = [error(429, retry_after_s=0.0)] * (embedding.MAX_ATTEMPTS + 2) + [error(503), error(500)]
    setup.answer = lambda body: answers.pop(0) if answers else vectors(body)
    file_id = setup.add("Text.")
    async with setup.running_runner():
        assert (await setup.ended(file_id)).status == "completed"
    assert answers == []


@pytest.mark.parametrize(
    "answer", [error(403, "Not yours."), error(429, "Not yours.", "insufficient_quota"), error(500, "Not yours.")]
)
async def test_a_model_that_refuses_fails_the_file(setup: IndexingFixture, answer: DispatchedResponse) -> None:
    """If the key may not use the model, has used up its budget, or the server fails again and again, the file fails."""
    setup.answer = lambda _: answer
    file_id = setup.add("Text.")
    async with setup.running_runner():
        failed = await setup.ended(file_id)
    assert failed.error is not None
    assert (failed.error.code, failed.error.message) == ("server_error", "Not yours.")
    assert setup.files.texts(PROJECT, setup.store, file_id) == []


async def test_another_model_is_not_mixed_in(setup: IndexingFixture) -> None:
    """A file is not embedded by other weights than the store's, and says which model made the store."""
    setup.models = [installed("tiny")]
    file_id = setup.add("Text.")
    async with setup.running_runner():
        failed = await setup.ended(file_id)
    assert failed.error is not None
    assert "`e5`" in failed.error.message
    assert setup.asked == []


async def test_a_removed_file_is_not_indexed_further(setup: IndexingFixture) -> None:
    """A file that is removed while it is indexed ends there, and the runner goes on."""
    file_id = setup.add(LONG)
    setup.going.clear()
    async with setup.running_runner() as running:
        await until(lambda: setup.asked)
        setup.files.delete(PROJECT, setup.store, file_id)
        await until(lambda: running.running == 0)
        setup.going.set()
        assert (await setup.ended(setup.add("More."))).status == "completed"
    assert setup.store_now().counts.total == 1


async def test_a_deleted_upload_fails_its_file(setup: IndexingFixture) -> None:
    """If the content is gone before it was read, the file leaves the store, as every deleted file does."""
    file_id = setup.add("Text.")
    setup.uploads.delete(PROJECT, file_id)
    async with setup.running_runner():
        assert (await setup.ended(setup.add("More."))).status == "completed"
    assert setup.store_now().counts.total == 1


async def test_a_full_disk_is_waited_for(setup: IndexingFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing can be written, indexing waits and goes on when there is room."""
    add_complete = setup.queue.add_complete
    failures = [StorageFull("full"), StorageFull("full")]

    def failing(*args: Any) -> Sequence[HomeportError | None]:
        if failures:
            raise failures.pop()
        return add_complete(*args)

    monkeypatch.setattr(setup.queue, "add_complete", failing)
    file_id = setup.add("Text.")
    async with setup.running_runner():
        assert (await setup.ended(file_id)).status == "completed"
    assert failures == []


async def test_a_project_over_its_limit_fails_the_file(setup: IndexingFixture) -> None:
    """A file whose chunks exceed the project's storage limit has failed and says so."""
    setup.queue._storage = SqlProjectStorage(setup.database, 100)
    file_id = setup.add(LONG)
    async with setup.running_runner():
        failed = await setup.ended(file_id)
    assert failed.error is not None
    assert (failed.error.code, "Storage limit" in failed.error.message) == ("server_error", True)
