"""`python -m bench.music_heard`: what can be heard in ten tunes and three songs, by programs that know only the sound.

Pieces are made by the bundled music model in this process. Of each: level, peak, the longest silence within it, the key
and the tempo that are heard against those that it says it has, and of a song the share of its words that Whisper hears
above the instruments. The key is the one whose profile (Krumhansl, Kessler, 1982) correlates most with the sound's
pitch classes, the tempo the one at which attacks repeat most. Prints a table; with --log appends it to bench/LOG.md.
"""

import argparse
import re
from pathlib import Path
from typing import NamedTuple

import faster_whisper
import numpy as np
from numpy.typing import NDArray

from bench import log, machine, model_home
from bench.music import MODEL
from bench.singing import TRANSCRIPTION, heard_in_order, listen, units
from homeport.domain.content import attach
from homeport.domain.events import AudioChunk, MusicFinished
from homeport.domain.music import MusicRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.music.engine import MusicGenerator, build_generator
from homeport.engines.round_robin import ActiveRequest
from homeport.settings import load
from recipes.instruments.measures import level_db

RATE = 44_100
TUNES = (
    "a lively reel",
    "a jig in D minor",
    "a slow, sad waltz",
    "a lullaby",
    "a march",
    "a hornpipe",
    "a polka",
    "a strathspey",
    "a slip jig",
    "a calm air in A dorian",
)
SONGS = {
    "a ballad": "The morning sun is rising slowly\nOver hills of green and gold\nAll the birds begin their singing\n"
    "Stories that were never told",
    "a lullaby": "Close your eyes the day is over\nStars are shining on the snow\nEvery boat is in the harbor\n"
    "Every wind has ceased to blow",
    "a merry song": "We are going to the market\nWith a basket full of bread\nThere are apples on the table\n"
    "There are roses white and red",
}
SEED = 7
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_WINDOW, _HOP = 8192, 441
_QUIET_DB = -50.0
FloatArray = NDArray[np.float32]


class Piece(NamedTuple):
    """A finished piece: what the model says of it, and its samples (mono)."""

    facts: MusicFinished
    samples: FloatArray


def make(generator: MusicGenerator, prompt: str, lyrics: str = "") -> Piece:
    """Make one piece."""
    request = MusicRequest(prompt, SEED, 600.0, None if lyrics else 30.0, lyrics=lyrics, format="pcm")
    events = list(generator.make(ActiveRequest(1, request, 1)))
    data = b"".join(event.data for event in events if isinstance(event, AudioChunk))
    [facts] = [event for event in events if isinstance(event, MusicFinished)]
    samples = np.frombuffer(data, "<i2").reshape(-1, 2).mean(axis=1) / 32768
    return Piece(facts, samples.astype(np.float32))


def heard_key(samples: FloatArray) -> str:
    """Return the key that is heard."""
    power = np.zeros(_WINDOW // 2 + 1)
    for start in range(0, len(samples) - _WINDOW, _WINDOW // 2):
        power += np.abs(np.fft.rfft(samples[start : start + _WINDOW] * np.hanning(_WINDOW)))
    hertz = np.fft.rfftfreq(_WINDOW, 1 / RATE)
    used = (hertz > 100) & (hertz < 2000)
    classes = np.round(69 + 12 * np.log2(hertz[used] / 440)).astype(int) % 12
    profile = np.bincount(classes, power[used], 12)
    scores = {
        f"{NAMES[tonic]} {mode}": np.corrcoef(np.roll(shape, tonic), profile)[0, 1]
        for mode, shape in (("major", MAJOR), ("minor", MINOR))
        for tonic in range(12)
    }
    return max(scores, key=lambda name: scores[name])


def heard_tempo(samples: FloatArray, bpm: float) -> float:
    """Return the beats a minute near those that are said, from 0.8 to 1.25 times as many."""
    frames = samples[: len(samples) // _HOP * _HOP].reshape(-1, _HOP)
    energy = np.log(np.square(frames).mean(axis=1) + 1e-7)
    attacks = np.maximum(np.diff(energy), 0)
    attacks -= attacks.mean()
    tempos = bpm * np.linspace(0.8, 1.25, 181)
    at = np.arange(len(attacks))
    scores = [
        sum(abs(np.sum(attacks * np.exp(2j * np.pi * at * multiple * tempo / 6000))) for multiple in (1, 2))
        for tempo in tempos
    ]
    return float(tempos[int(np.argmax(scores))])


def longest_silence_s(samples: FloatArray) -> float:
    """Return the longest time below -50 dB, the end of the piece left out."""
    frames = samples[: len(samples) // _HOP * _HOP].reshape(-1, _HOP)
    loud = np.flatnonzero(10 * np.log10(np.square(frames).mean(axis=1) + 1e-12) > _QUIET_DB)
    return float(np.diff(loud).max() - 1) * _HOP / RATE


def row(prompt: str, piece: Piece, words: str) -> str:
    """Return a row of the table."""
    facts, samples = piece
    bpm = facts.bpm or 0.0
    cells = [prompt, f"{facts.seconds:.0f}", f"{level_db(samples):.0f}", f"{np.abs(samples).max():.2f}"]
    cells += [f"{longest_silence_s(samples):.1f}", f"{facts.key}", heard_key(samples)]
    return "| " + " | ".join([*cells, f"{bpm:.0f}", f"{heard_tempo(samples, bpm):.0f}", words]) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, help="a folder for the pieces as samples, float32, mono")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    home = load().home
    generator, _ = build_generator(
        EngineSpec("music", MODEL, attach(model_home.files(home, MODEL)), "", {"threads": 2})
    )
    weights = model_home.files(home, TRANSCRIPTION)["weights"]
    whisper = faster_whisper.WhisperModel(str(weights.parent), device="cpu", compute_type="int8", cpu_threads=2)
    lines = [
        f"### {machine.heading(MODEL, 2, 'faster-whisper', 'what is heard of music')}",
        "",
        "| prompt | s | level, dB | peak | silence, s | key | key heard | beats a minute | heard | words heard |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for prompt, lyrics in [*((prompt, "") for prompt in TUNES), *SONGS.items()]:
        piece = make(generator, prompt, lyrics)
        words = ""
        if lyrics:
            said = units(lyrics, is_mandarin=False)
            text = listen(whisper, piece.samples, "en")
            print(f"  {text}", flush=True)
            words = f"{100 * heard_in_order(said, units(text, is_mandarin=False)) / len(said):.0f} %"
        lines.append(row(prompt, piece, words))
        print(lines[-1], flush=True)
        if options.into:
            name = re.sub(r"\W+", "-", prompt) + ("-song" if lyrics else "")
            (options.into / f"{name}.f32").write_bytes(piece.samples.tobytes())
    print("\n".join(lines))
    if options.log:
        log.append(lines)


if __name__ == "__main__":
    main()
