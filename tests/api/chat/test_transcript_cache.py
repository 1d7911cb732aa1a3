"""Texts of recordings that are sent again."""

from homeport.api.chat.transcript_cache import CachedTranscript, RecordingKey, TranscriptCache
from tests.fake_clock import FakeClock

HELLO = CachedTranscript("Hello.", 50)


def key(name: str, project: str = "one", model: str = "whisper") -> RecordingKey:
    """Make the key of a recording."""
    return RecordingKey(project, model, name.encode())


def test_a_recording_is_found_by_project_model_and_content() -> None:
    """Only the same recording of the same project, by the same model, is found."""
    cache = TranscriptCache()
    cache.add(key("a"), HELLO)
    assert cache.find(key("a")) == HELLO
    assert not any(cache.find(other) for other in (key("b"), key("a", "two"), key("a", model="other")))


def test_unused_transcripts_expire() -> None:
    """An hour after its last use a transcript is gone."""
    clock = FakeClock()
    cache = TranscriptCache(clock=clock)
    cache.add(key("a"), HELLO)
    cache.add(key("b"), HELLO)
    clock.now = 3000
    assert cache.find(key("a"))
    clock.now = 3601
    assert cache.find(key("b")) is None
    assert cache.find(key("a"))
    clock.now = 7300
    assert cache.find(key("a")) is None


def test_the_least_recently_used_are_dropped() -> None:
    """The size is bounded, also by entries without text; an entry that is replaced counts once."""
    cache = TranscriptCache(max_chars=3 * 206)
    for name in "abcc":
        cache.add(key(name), HELLO)
    assert cache.find(key("a"))
    cache.add(key("d"), CachedTranscript("", 0))
    assert cache.find(key("b")) is None
    assert all(cache.find(key(name)) for name in "acd")
    cache.add(key("e"), CachedTranscript("x" * 1000, 9))
    assert not any(cache.find(key(name)) for name in "acde")
