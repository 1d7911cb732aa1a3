"""Files that are indexed at the same time share requests and transactions, and nothing of what goes wrong."""

from collections import Counter
from collections.abc import Sequence

import pytest

from homeport.domain.errors import HomeportError, InvalidRequest
from homeport.domain.vector_stores import IndexedFile
from homeport.serving.vector_stores import runner
from homeport.serving.vector_stores.requests import TEXTS_AT_ONCE
from tests.serving.conftest import until
from tests.serving.vector_stores.indexing_fixture import PROJECT, IndexingFixture, error, vectors


async def test_files_share_requests_and_transactions(setup: IndexingFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that wait for the model are embedded by few requests, each text once, and stored by few transactions."""
    add_complete = setup.queue.add_complete
    stored: list[int] = []

    def count(owner: str, files: Sequence[IndexedFile]) -> Sequence[HomeportError | None]:
        stored.append(len(files))
        return add_complete(owner, files)

    monkeypatch.setattr(setup.queue, "add_complete", count)
    ids = [setup.add(f"Text {at}.") for at in range(runner.FILES_AT_ONCE)]
    setup.going.clear()
    async with setup.running_runner():
        await setup.all_wait()
        setup.going.set()
        assert {(await setup.ended(file_id)).status for file_id in ids} == {"completed"}
    assert len(setup.asked) < len(ids) / 2
    assert max(map(len, setup.texts)) <= TEXTS_AT_ONCE
    assert setup.embedded == Counter(f"Text {at}." for at in range(len(ids)))
    assert len(stored) <= len(ids) / 2
    assert [setup.files.texts(PROJECT, setup.store, each) for each in ids] == [
        [f"Text {at}."] for at in range(len(ids))
    ]


async def test_files_of_two_keys_share_no_request(setup: IndexingFixture) -> None:
    """What a key's files cost is counted for that key alone."""
    for at in range(runner.FILES_AT_ONCE):
        setup.add(f"key_{at % 2}", key=f"key_{at % 2}")
    setup.going.clear()
    async with setup.running_runner():
        await setup.all_wait()
        setup.going.set()
        await until(lambda: setup.store_now().counts.completed == runner.FILES_AT_ONCE)
    for (_, key, _, _), texts in zip(setup.asked, setup.texts, strict=True):
        assert set(texts) == {key}


async def test_a_text_that_the_model_refuses_fails_its_file_alone(setup: IndexingFixture) -> None:
    """If a request of several files fails, each is asked for alone, and only the one at fault has failed."""
    setup.answer = lambda body: error(400, "Bad text.") if "bad" in body["input"] else vectors(body)
    ids = [setup.add("bad" if at == 20 else f"Text {at}.") for at in range(runner.FILES_AT_ONCE)]
    setup.going.clear()
    async with setup.running_runner():
        await setup.all_wait()
        setup.going.set()
        ended = [await setup.ended(file_id) for file_id in ids]
    assert [at for at, file in enumerate(ended) if file.status != "completed"] == [20]
    assert ended[20].error is not None
    assert ended[20].error.message == "Bad text."
    assert any(len(texts) > 1 and "bad" in texts for texts in setup.texts)


async def test_a_file_whose_transaction_fails_fails_alone(
    setup: IndexingFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the database refuses a value of one of several files, the others are stored."""
    add_complete = setup.queue.add_complete
    together: list[int] = []

    def refuse(owner: str, files: Sequence[IndexedFile]) -> Sequence[HomeportError | None]:
        if any(chunk.text == "bad" for file in files for chunk in file.chunks):
            together.append(len(files))
            raise InvalidRequest("The database cannot store this value.")
        return add_complete(owner, files)

    monkeypatch.setattr(setup.queue, "add_complete", refuse)
    ids = [setup.add("bad" if at == 20 else f"Text {at}.") for at in range(runner.FILES_AT_ONCE)]
    setup.going.clear()
    async with setup.running_runner():
        await setup.all_wait()
        setup.going.set()
        ended = [await setup.ended(file_id) for file_id in ids]
    assert [at for at, file in enumerate(ended) if file.status != "completed"] == [20]
    assert together[-1] == 1 < together[0]
