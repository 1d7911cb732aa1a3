"""`python -m bench.singing`: how well sung words are understood, how exact the notes are, and how long singing takes.

Whisper (base) transcribes lines that no part of the program has seen, each sung to a line of one of three tunes. The
share of words that it hears, in order, is the recall; of Mandarin that of characters, and of their syllables without
tones, which no melody keeps. Pitch is measured in the first half of each note by WORLD's Harvest. Prints a table, and
with --log appends it to bench/LOG.md.
"""

import argparse
import re
import statistics
import time
from collections.abc import Sequence
from difflib import SequenceMatcher
from fractions import Fraction
from typing import NamedTuple

import faster_whisper
import numpy as np
import opencc
import pyworld
from numpy.typing import NDArray
from pypinyin import lazy_pinyin

from bench import log, machine, model_home
from homeport.engines.music.score import Bar, Key, Metre, Note, TunePlan
from homeport.engines.music.singing.singer import SONG_RATE, Singer, SungPhrase
from homeport.settings import load

SPEECH, TRANSCRIPTION = "kokoro-82m", "whisper-base"
HEARING_RATE = 16_000
ENGLISH = """\
The baker opened up his window to the snow
Nobody told the sailor where the whales would go
Copper kettles whistle in my mother's room
We planted seven apple trees before the moon
Hold on to the railing when the train begins to climb
A letter came on Sunday from a girl I used to know
Every little candle has a story it could tell
The farmer sold his horses and he bought a violin
Don't forget the garden gate, the dogs are running free
She painted all the doorways in the color of the sea
Somewhere in the mountains there is thunder rolling slow
My grandfather's compass never pointed to the north"""
MANDARIN = """\
窗外的雨一直下到天亮
我在车站等你的消息
老师带我们去看大海
春天的花开满了山坡
妈妈给我做了一碗面
月亮照着回家的小路
朋友们坐在河边唱歌
明天早上我要去北京"""
# Notes of a bar, each as pitch and length in eighths.
HYMN = "67:2 67:2 69:2 67:2|72:2 71:2 69:4|69:2 69:2 67:2 65:2|64:2 62:2 60:4"
REEL = (
    "62:1 66:1 69:1 66:1 74:1 69:1 66:1 69:1|67:1 71:1 74:1 71:1 69:2 66:2|"
    "64:1 66:1 67:1 64:1 69:1 67:1 66:1 64:1|62:2 66:2 62:4"
)
JIG = "62:1 64:1 66:1 69:2 71:1|74:1 71:1 69:1 66:2 69:1|67:1 71:1 67:1 66:2 64:1|62:3 62:3"
TUNES = {
    "hymn": (HYMN, Metre(4, 4), 100),
    "reel": (REEL, Metre(4, 4), 112),
    "jig": (JIG, Metre(6, 8), 100),
}


class Figures(NamedTuple):
    """Of one voice and tune: units heard and sung, syllables the same way, errors of notes in cents, seconds."""

    heard: int
    units: int
    syllables_heard: int
    cents: list[float]
    audio_s: float
    wall_s: float
    cpu_s: float
    first_s: float


def bars(tune: str, count: int) -> list[Bar]:
    """Return the tune, repeated until it has this many bars."""
    written = tune.split("|")
    found: list[Bar] = []
    start = Fraction(0)
    for number in range(count):
        at, notes = start, []
        for each in written[number % len(written)].split():
            pitch, eighths = each.split(":")
            notes.append(Note(at, Fraction(int(eighths), 2), int(pitch)))
            at += notes[-1].length
        found.append(Bar(start, at - start, tuple(notes)))
        start = at
    return found


def units(text: str, *, is_mandarin: bool) -> list[str]:
    """Return the words, or the characters of Mandarin in simplified script."""
    if is_mandarin:
        return re.findall("[\u4e00-\u9fff]", opencc.OpenCC("t2s").convert(text))
    return re.findall("[a-z']+", text.lower().replace("’", "'"))


def heard_in_order(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return how many of the units were heard, in their order."""
    return sum(block.size for block in SequenceMatcher(None, said, heard, autojunk=False).get_matching_blocks())


def cents(phrase: SungPhrase, plan: TunePlan) -> list[float]:
    """Return for each note how far its median pitch is from what was written."""
    pitch, times = pyworld.harvest(phrase.samples.astype(np.float64), SONG_RATE, frame_period=5.0)
    errors = []
    for note in phrase.notes:
        start = plan.seconds(note.start - phrase.start) + 0.04
        end = plan.seconds(note.start - phrase.start + note.length / 2)
        found = pitch[(times >= start) & (times < end) & (pitch > 0)]
        written = 440 * 2 ** ((note.pitch - 69) / 12)
        errors.append(abs(1200 * float(np.log2(np.median(found) / written))) if found.size else 1200.0)
    return errors


def measure(
    singer: Singer, whisper: faster_whisper.WhisperModel, voice: str, tune: str, *, is_mandarin: bool
) -> Figures:
    """Sing all lines to a tune and listen to each."""
    written, metre, bpm = TUNES[tune]
    lyrics = MANDARIN if is_mandarin else ENGLISH
    plan = TunePlan("song", metre, Key(2, "major"), bpm, 8)
    phrases: list[SungPhrase] = []
    first_s = 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    for phrase in singer.sing(lyrics, bars(written, singer.bars(lyrics, plan, voice)), plan, voice):
        first_s = first_s or time.perf_counter() - wall
        phrases.append(phrase)
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    heard = said = syllables = 0
    for line, phrase in zip(lyrics.splitlines(), phrases, strict=True):
        text = listen(whisper, phrase.samples, "zh" if is_mandarin else "en")
        wanted, found = units(line, is_mandarin=is_mandarin), units(text, is_mandarin=is_mandarin)
        said += len(wanted)
        heard += heard_in_order(wanted, found)
        syllables += heard_in_order(lazy_pinyin("".join(wanted)), lazy_pinyin("".join(found))) if is_mandarin else 0
        print(f"  {line} -> {text}", flush=True)
    errors = [error for phrase in phrases for error in cents(phrase, plan)]
    audio_s = sum(len(phrase.samples) for phrase in phrases) / SONG_RATE
    return Figures(heard, said, syllables, errors, audio_s, wall_s, cpu_s, first_s)


def listen(whisper: faster_whisper.WhisperModel, samples: NDArray[np.float32], language: str) -> str:
    """Return what is heard."""
    at = np.arange(len(samples) * HEARING_RATE // SONG_RATE) * (SONG_RATE / HEARING_RATE)
    sound = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
    segments, _ = whisper.transcribe(
        np.pad(sound, HEARING_RATE // 2), language=language, condition_on_previous_text=False
    )
    return " ".join(segment.text.strip() for segment in segments)


def row(voice: str, tune: str, figures: Figures, *, is_mandarin: bool) -> str:
    """Return a row of the table."""
    recall = f"{100 * figures.heard / figures.units:.0f} %"
    recall += f" (syllables {100 * figures.syllables_heard / figures.units:.0f} %)" if is_mandarin else ""
    exact = 100 * sum(error <= 30 for error in figures.cents) / len(figures.cents)
    cells = [voice, "Mandarin" if is_mandarin else "English", tune, recall]
    cells += [f"{exact:.0f} %", f"{statistics.median(figures.cents):.0f}", f"{figures.first_s:.1f}"]
    cells += [f"{figures.wall_s / figures.audio_s:.2f}", f"{figures.cpu_s / figures.audio_s:.2f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voices", default="coral,nova,sage,verse,cedar")
    parser.add_argument("--tunes", default="hymn,reel,jig", help="which of hymn, reel and jig")
    parser.add_argument("--languages", default="en,zh")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    home = load().home
    singer = Singer(model_home.files(home, SPEECH), options.threads)
    weights = model_home.files(home, TRANSCRIPTION)["weights"]
    whisper = faster_whisper.WhisperModel(str(weights.parent), device="cpu", compute_type="int8", cpu_threads=2)
    lines = [
        f"### {machine.heading(SPEECH, options.threads, 'faster-whisper', 'singing')}",
        "",
        "| voice | language | tune | recall | notes within 30 cents | median cents | first phrase s "
        "| wall s per sung s | CPU s per sung s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for is_mandarin in [language == "zh" for language in options.languages.split(",")]:
        for voice in options.voices.split(","):
            for tune in options.tunes.split(","):
                figures = measure(singer, whisper, voice, tune, is_mandarin=is_mandarin)
                lines.append(row(voice, tune, figures, is_mandarin=is_mandarin))
                print(lines[-1], flush=True)
    print("\n".join(lines))
    if options.log:
        log.append(lines)


if __name__ == "__main__":
    main()
