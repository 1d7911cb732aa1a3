"""Transcripts of spoken answers, on SQLite and PostgreSQL."""

import pytest

from homeport.store.database import Database
from homeport.store.transcripts import SqlTranscriptRepository
from tests.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


@pytest.fixture
def transcripts(database: Database, clock: FakeClock) -> SqlTranscriptRepository:
    made = SqlTranscriptRepository(database, clock)
    made.add("one", "audio_a", "Hello, 世界.", 1010)
    made.add("one", "audio_b", "Later.", 1020)
    made.add("two", "audio_c", "Theirs.", 1020)
    return made


def test_a_project_finds_its_transcripts_by_id(transcripts: SqlTranscriptRepository) -> None:
    """Those that are asked for and are the project's are returned; others are left out."""
    found = transcripts.find("one", {"audio_a", "audio_c", "audio_none"})
    assert found == {"audio_a": "Hello, 世界."}


def test_transcripts_expire(transcripts: SqlTranscriptRepository, clock: FakeClock) -> None:
    """An expired transcript is not found, and a sweep deletes it."""
    clock.now += 10
    assert transcripts.find("one", {"audio_a", "audio_b"}) == {"audio_b": "Later."}
    assert (transcripts.sweep(), transcripts.sweep()) == (1, 0)
    clock.now += 10
    assert transcripts.sweep() == 2
