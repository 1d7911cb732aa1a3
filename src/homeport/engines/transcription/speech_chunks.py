"""Splits a recording into chunks of speech without silence, so that long recordings are processed in parts.

A chunk is cut in a pause, or in a short silence if there is no pause. Knows nothing of words.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps

from homeport.domain.transcription import VadSettings
from homeport.engines.transcription.audio import RATE_HZ, AudioBlock

MAX_CHUNK_S = 300
"""Audio of one chunk, silence included. Its spectra need about 300 MB while they are computed."""

_MAX_SPAN_S = 60.0  # so that there is always a place to cut
_LEAD_S = 0.5  # kept for the next chunk, because speech may begin at the cut
_YIELD_EVERY_S = 60.0  # of audio, so that other requests get their turn


@dataclass(frozen=True)
class SpeechChunk:
    """Speech without silence. `spans`: the position of each part in the recording, in samples, with `start`, `end`."""

    samples: AudioBlock
    spans: Sequence[dict[str, int]]


def split_speech(blocks: Iterable[AudioBlock], vad: VadSettings) -> Iterator[SpeechChunk | None]:
    """Iterate over the chunks of a recording in order; None if more audio was read and no chunk is complete yet."""
    pieces: list[AudioBlock] = []
    size = offset = yielded = 0
    for piece in blocks:
        pieces.append(piece)
        size += len(piece)
        if size >= MAX_CHUNK_S * RATE_HZ:
            block = np.concatenate(pieces)
            spans = _find_speech(block, vad, _MAX_SPAN_S)
            yield None
            cut, complete = _cut_position(spans, len(block))
            yield _chunk(block, complete, offset)
            pieces, size, offset = [block[cut:]], len(block) - cut, offset + cut
            yielded = size
        elif size - yielded >= _YIELD_EVERY_S * RATE_HZ:
            yielded = size
            yield None
    block = np.concatenate(pieces)
    spans = _find_speech(block, vad, float("inf"))
    yield None
    yield _chunk(block, spans, offset)


def _find_speech(block: AudioBlock, vad: VadSettings, max_span_s: float) -> list[dict[str, int]]:
    options = VadOptions(
        threshold=vad.threshold,
        speech_pad_ms=vad.padding_ms,
        min_silence_duration_ms=vad.silence_ms,
        max_speech_duration_s=max_span_s,
    )
    return [{"start": int(s["start"]), "end": int(s["end"])} for s in get_speech_timestamps(block, options)]


def _cut_position(spans: list[dict[str, int]], size: int) -> tuple[int, list[dict[str, int]]]:
    """Return where the next chunk begins, and the spans before: one that touches the end may continue after it."""
    lead = size - int(_LEAD_S * RATE_HZ)
    if not spans or spans[-1]["end"] <= lead:
        return lead, spans
    last = spans[-1]["start"]
    return (last, spans[:-1]) if last > 0 else (size, spans)


def _chunk(block: AudioBlock, spans: list[dict[str, int]], offset: int) -> SpeechChunk | None:
    if not spans:
        return None
    samples = np.concatenate([block[span["start"] : span["end"]] for span in spans])
    return SpeechChunk(samples, [{"start": offset + span["start"], "end": offset + span["end"]} for span in spans])
