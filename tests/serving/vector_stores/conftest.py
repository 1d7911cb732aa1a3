"""The fixture of tests that index files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.serving.vector_stores import embedding, indexing, runner
from tests.serving.vector_stores.indexing_fixture import IndexingFixture


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexingFixture]:
    for module in (embedding, indexing):
        monkeypatch.setattr(module, "_RETRY_INTERVAL_S", 0.0)
    monkeypatch.setattr(runner, "_RETRY_INTERVAL_S", 0.0)
    made = IndexingFixture(tmp_path)
    yield made
    made.database.close()
