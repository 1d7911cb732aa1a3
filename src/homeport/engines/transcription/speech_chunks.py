"""Cuts a recording into passages of speech: what is silent is left out, and long recordings come bit by bit.

A passage is cut where nobody speaks, or for want of a pause in a short silence. Knows nothing of words.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps

from homeport.domain.transcription import VadSettings
from homeport.engines.transcription.audio import RATE_HZ, AudioBlock

PASSAGE_S = 300
"""Sound that is looked at together. Spectra of it take some 300 MB while they are made."""

_MAX_SPEECH_S = 60.0  # of one stretch, so that a cut can always be found
_LEAD_S = 0.5  # kept for the next passage, as speech may begin at the cut
_EVERY_S = 60.0  # a rest for other requests


@dataclass(frozen=True)
class SpeechChunk:
    """Speech without the silence between. `stretches`: where each lay in the recording, in samples, as
    `{"start": …, "end": …}`."""

    samples: AudioBlock
    spans: Sequence[dict[str, int]]


def split_speech(blocks: Iterable[AudioBlock], vad: VadSettings) -> Iterator[SpeechChunk | None]:
    """The passages of a recording in order; None in between says that more sound was read and nothing found yet."""
    held: list[AudioBlock] = []
    size = offset = rested = 0
    for piece in blocks:
        held.append(piece)
        size += len(piece)
        if size >= PASSAGE_S * RATE_HZ:
            block = np.concatenate(held)
            spoken = _find_speech(block, vad, _MAX_SPEECH_S)
            yield None
            cut, whole = _cut_position(spoken, len(block))
            yield _passage(block, whole, offset)
            held, size, offset = [block[cut:]], len(block) - cut, offset + cut
            rested = size
        elif size - rested >= _EVERY_S * RATE_HZ:
            rested = size
            yield None
    block = np.concatenate(held)
    spoken = _find_speech(block, vad, float("inf"))
    yield None
    yield _passage(block, spoken, offset)


def _find_speech(block: AudioBlock, pauses: VadSettings, longest_s: float) -> list[dict[str, int]]:
    options = VadOptions(
        threshold=pauses.threshold,
        speech_pad_ms=pauses.padding_ms,
        min_silence_duration_ms=pauses.silence_ms,
        max_speech_duration_s=longest_s,
    )
    return [{"start": int(s["start"]), "end": int(s["end"])} for s in get_speech_timestamps(block, options)]


def _cut_position(spoken: list[dict[str, int]], size: int) -> tuple[int, list[dict[str, int]]]:
    """Where the next passage begins, and what is spoken before: a stretch that touches the end may go on behind it."""
    lead = size - int(_LEAD_S * RATE_HZ)
    if not spoken or spoken[-1]["end"] <= lead:
        return lead, spoken
    last = spoken[-1]["start"]
    return (last, spoken[:-1]) if last > 0 else (size, spoken)


def _passage(block: AudioBlock, spoken: list[dict[str, int]], offset: int) -> SpeechChunk | None:
    if not spoken:
        return None
    samples = np.concatenate([block[stretch["start"] : stretch["end"]] for stretch in spoken])
    moved = [{"start": offset + stretch["start"], "end": offset + stretch["end"]} for stretch in spoken]
    return SpeechChunk(samples, moved)
