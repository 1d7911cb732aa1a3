"""`python -m bench.speech`: our speech endpoint against bare ONNX Runtime on the same phonemes, in one run.

The bare side runs the model's session on the chunks of our phonemizer, without phonemizer, audio encoding or server:
once with the library's default options and once with ours. Ours is compared with the better median. Sides alternate, so
that drift of the machine affects all alike. Prints a table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

from bench import (
    log,
    machine,
    model_home,
    servers,
)
from bench.load import Address
from homeport.engines.synthesis.kokoro import RATE, KokoroModel
from homeport.engines.synthesis.phonemizer import PhonemeChunk, Phonemizer
from homeport.engines.synthesis.voices import OPENAI_VOICES
from homeport.settings import load

MODEL, VOICE = "kokoro-82m", "alloy"
TEXTS = {
    "English, 3 sentences": "The weather is nice today, so we walked along the river and talked about the future of "
    "music. My train leaves at half past seven, and I have not packed anything yet. She bought three apples.",
    "Mandarin, 2 sentences": "今天天气很好，我们去公园散步，然后一起吃晚饭。"
    "人工智能正在改变我们的生活方式，也带来了新的问题。",
}


class SpeechRun(NamedTuple):
    """One run, in seconds: the time to the first audio, the time to the last, and the duration of the audio."""

    first_s: float
    whole_s: float
    audio_s: float


class Bare:
    """The bare model, with the library's default options or those of our engine."""

    def __init__(self, files: Mapping[str, Path], *, threads: int, is_default: bool) -> None:
        named = {role.removeprefix("voice/"): path for role, path in files.items() if role.startswith("voice/")}
        self._model = KokoroModel(files["weights"], files["vocabulary"], named, threads)
        self.reader = Phonemizer(self._model.alphabet)
        self._session = None
        if is_default:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(str(files["weights"]), options)

    def speak(self, chunks: tuple[PhonemeChunk, ...]) -> SpeechRun:
        """Synthesize the chunks one after another."""
        start = time.perf_counter()
        first_s, samples = 0.0, 0
        for chunk in chunks:
            inputs = self._model.inputs(chunk.phonemes, OPENAI_VOICES[VOICE].speakers(chunk.language), 1.0)
            audio = self._session.run(None, inputs)[0] if self._session else self._model.run(inputs)
            samples += np.asarray(audio).size
            first_s = first_s or time.perf_counter() - start
        return SpeechRun(first_s, time.perf_counter() - start, samples / RATE)


def _ours(address: Address, text: str, form: str) -> SpeechRun:
    """Measure the server. The duration is taken from the bare side, because the server adds pauses."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=600)
    body = {"model": address.model, "input": text, "voice": VOICE, "response_format": form}
    start = time.perf_counter()
    connection.request("POST", "/v1/audio/speech", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(answer.read().decode())
    answer.read(1)
    first_s = time.perf_counter() - start
    answer.read()
    whole_s = time.perf_counter() - start
    connection.close()
    return SpeechRun(first_s, whole_s, 0.0)


def _row(name: str, text: str, address: Address, bare: Mapping[str, Bare], rounds: int) -> str:
    chunks = next(iter(bare.values())).reader.phonemize(text, OPENAI_VOICES[VOICE]).chunks
    runs: dict[str, list[SpeechRun]] = {side: [] for side in (*bare, "pcm", "mp3")}
    for _ in range(rounds):
        for side, alone in bare.items():
            runs[side].append(alone.speak(chunks))
        for form in ("pcm", "mp3"):
            runs[form].append(_ours(address, text, form))
    audio_s = statistics.median(run.audio_s for run in runs["default"])
    whole = {side: statistics.median(run.whole_s for run in found) for side, found in runs.items()}
    first = {side: statistics.median(run.first_s for run in found) for side, found in runs.items()}
    best = min(bare, key=lambda side: whole[side])
    cells = [name, *(f"{audio_s / whole[side]:.2f}" for side in runs)]
    cells += [f"{whole[best] / whole['pcm']:.2f}", f"{whole[best] / whole['mp3']:.2f}"]
    cells += [f"{first['mp3'] * 1e3:.0f} / {first[best] * 1e3:.0f}"]
    return "| " + " | ".join(cells) + " |"


def _heading(rounds: int, threads: int) -> list[str]:
    return [
        f"### {machine.heading(MODEL, threads, 'onnxruntime', machine.rounds(rounds))}",
        "",
        "| text | bare, default options: seconds of audio per second | bare, our options | ours, pcm | ours, mp3 "
        "| pcm / better bare | mp3 / better bare | first bytes ms, ours (mp3) / bare first chunk |",
        "|---|---|---|---|---|---|---|---|",
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    files = model_home.files(load().home, MODEL)
    bare = {
        "default": Bare(files, threads=options.threads, is_default=True),
        "tuned": Bare(files, threads=options.threads, is_default=False),
    }
    lines = _heading(options.rounds, options.threads)
    print("\n".join(lines), flush=True)
    with servers.homeport(MODEL, {"THREADS": str(options.threads)}) as served:
        for text in TEXTS.values():
            _ours(served.address, text, "mp3")  # dictionaries load with the first text of a language
        for name, text in TEXTS.items():
            lines.append(_row(name, text, served.address, bare, options.rounds))
            print(lines[-1], flush=True)
    if options.log:
        log.append(lines)


if __name__ == "__main__":
    main()
