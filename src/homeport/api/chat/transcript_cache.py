"""The texts of recordings that a project sent before: the later turns of a conversation send all of them again.

In memory, bounded, for an hour after the last use. Knows nothing of models or requests.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

MAX_CHARS = 2_000_000
"""The maximum size of all texts; the least recently used are dropped first."""
KEEP_S = 3600.0
_ENTRY_CHARS = 200
"""What an entry counts for besides its text."""


class RecordingKey(NamedTuple):
    """A recording of a project, as one model transcribes it: the SHA-256 of its file, and of the model's weights."""

    project: str
    model: str
    recording: bytes


class CachedTranscript(NamedTuple):
    """The text of a recording, and its tokens."""

    text: str
    tokens: int


class TranscriptCache:
    """The transcripts of all projects. `clock`: monotonic seconds."""

    def __init__(self, max_chars: int = MAX_CHARS, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_chars = max_chars
        self._clock = clock
        self._entries: OrderedDict[RecordingKey, tuple[CachedTranscript, float]] = OrderedDict()
        self._chars = 0

    def find(self, key: RecordingKey) -> CachedTranscript | None:
        """Return a transcript, which is then kept for another hour; None if there is none."""
        self._drop_expired()
        found = self._entries.pop(key, None)
        if found is None:
            return None
        self._entries[key] = (found[0], self._clock())
        return found[0]

    def add(self, key: RecordingKey, transcript: CachedTranscript) -> None:
        """Keep a transcript."""
        self._drop(key)
        self._entries[key] = (transcript, self._clock())
        self._chars += _size(transcript)
        self._drop_expired()
        while self._chars > self._max_chars:
            self._drop(next(iter(self._entries)))

    def _drop_expired(self) -> None:
        """Drop what was not used for an hour: the first ones, because entries are in the order of their use."""
        until = self._clock() - KEEP_S
        while self._entries and next(iter(self._entries.values()))[1] <= until:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: RecordingKey) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self._chars -= _size(found[0])


def _size(transcript: CachedTranscript) -> int:
    return len(transcript.text) + _ENTRY_CHARS
