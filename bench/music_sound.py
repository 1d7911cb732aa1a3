"""`python -m bench.music_sound`: loudness, pitch and speed of the music engine's arranger and sampler.

Tunes written by hand are arranged and rendered bar by bar, in this process and one thread. Prints a table of tunes
(time per 30 s of music, the first time with decoding the samples), one of parts (how loud each is against the melody),
and one of instruments (the largest error of pitch over its range). Knows nothing of composing and of the server.
"""

import argparse
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt

from bench.written_tunes import TUNES, WrittenTune
from homeport.engines.music.arrangement import Arranger
from homeport.engines.music.parts import Part
from homeport.engines.music.sampler import instruments
from homeport.engines.music.sampler.instruments import RATE, Instrument
from homeport.engines.music.sampler.sampler import Sampler
from recipes.instruments.measures import centroid_hz, level_db, pitch_error_cents

_ONSET, _MEASURED = 4000, RATE // 2
_STANDARD_S = 30.0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.music_sound", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", type=Path, help="a folder for the rendered tunes as raw stereo samples, float32")
    arguments = parser.parse_args()
    print("| tune | s | CPU s for 30 s | level, dB | peak | centroid, Hz |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    arranged = {name: arrange(tune, arguments.seed) for name, tune in TUNES.items()}
    for name, bars in [("reel (cold)", arranged["reel"]), *arranged.items()]:
        tune = TUNES[name.removesuffix(" (cold)")]
        start = time.process_time()
        sound = render(tune, bars)
        spent = (time.process_time() - start) * _STANDARD_S / (len(sound) / RATE)
        print(f"| {name} | {len(sound) / RATE:.1f} | {spent:.2f} | {_described(sound)} |")
        if arguments.into:
            (arguments.into / f"{name}.f32").write_bytes(sound.tobytes())
    print("\n| tune | part | instrument | against the melody, dB |\n| --- | --- | --- | ---: |")
    for name, bars in arranged.items():
        for line in _balance(TUNES[name], bars):
            print(f"| {name} | {line} |")
    print("\n| instrument | keys | largest error, cents |\n| --- | --- | ---: |")
    for instrument in instruments.load().instruments:
        if not instrument.is_drums:
            print(f"| {instrument.name} | {instrument.range[0]}-{instrument.range[1]} | {largest_error(instrument)} |")


def arrange(tune: WrittenTune, seed: int) -> list[tuple[Part, ...]]:
    """Return the parts of each bar of a tune."""
    arranger = Arranger(tune.plan, seed)
    return [arranger.arrange(bar) for bar in tune.bars]


def render(tune: WrittenTune, bars: Sequence[Iterable[Part]]) -> npt.NDArray[np.float32]:
    """Return the sound of a tune's parts, rendered bar by bar, [samples, 2]."""
    sampler = Sampler()
    blocks = [
        sampler.render(parts, tune.plan, bar.start + bar.length) for bar, parts in zip(tune.bars, bars, strict=True)
    ]
    return np.concatenate([*blocks, sampler.finish()])


def largest_error(instrument: Instrument) -> int:
    """Return by how many cents the key that is most out of tune is so."""
    played = instruments.load()
    errors = []
    for key in range(instrument.range[0], instrument.range[1] + 1):
        tone = played.tone(instrument, key, _ONSET + _MEASURED).samples[_ONSET : _ONSET + _MEASURED]
        errors.append(abs(pitch_error_cents(tone, RATE, key)))
    return max(errors)


def _described(sound: npt.NDArray[np.float32]) -> str:
    peak = float(np.max(np.abs(sound)))
    return f"{level_db(sound):.1f} | {peak:.2f} | {centroid_hz(sound.mean(axis=1), RATE):.0f}"


def _balance(tune: WrittenTune, bars: Sequence[tuple[Part, ...]]) -> list[str]:
    """Return each part's instrument and its level while it plays, against that of the melody in the same bars."""
    lines = []
    for name, instrument in {part.name: part.instrument for parts in bars for part in parts}.items():
        if name == "melody":
            continue
        own = render(tune, [[part for part in parts if part.name == name] for parts in bars])
        melody = render(tune, [[part for part in parts if part.is_melody] for parts in bars])
        plays = np.abs(own).max(axis=1) > 1e-4
        difference = level_db(own[plays]) - level_db(melody[: len(own)][plays[: len(melody)]])
        lines.append(f"{name} | {instrument} | {difference:+.1f}")
    return lines


if __name__ == "__main__":
    main()
