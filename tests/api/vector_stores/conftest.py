"""The application that the tests of vector stores share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.vector_stores.calls import StoreApp


@pytest.fixture
def app(tmp_path: Path) -> Iterator[StoreApp]:
    made = StoreApp(tmp_path)
    yield made
    made.database.close()
