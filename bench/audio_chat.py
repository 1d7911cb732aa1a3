"""`python -m bench.audio_chat`: how soon a spoken answer is heard: from its first text to its first audio.

One request at a time: a text question with a streamed, spoken answer, and the same question spoken. Cells are medians
in seconds. Prints a table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import base64
import http.client
import json
import statistics
import time
from typing import Any, NamedTuple

from bench import log, machine, servers
from bench.load import Address
from homeport.domain.kinds import KINDS, TEXT

TARGET_S = 2.0
VOICE = "alloy"
QUESTIONS = {
    "English": "Describe a lighthouse in three sentences.",
    "Mandarin": "请用三句话介绍一下灯塔。",
}
MAX_TOKENS = 60
"""About ten seconds of speech."""
_BYTES_PER_S = 48_000


class SpokenRun(NamedTuple):
    """One run, in seconds since the request was sent, but for `audio_s`: the length of the audio.

    `silent_s`: how long a listener would have waited in the middle of the answer, for audio that was not there yet.
    """

    text_s: float
    audio_first_s: float
    end_s: float
    audio_s: float
    silent_s: float

    @property
    def wait_s(self) -> float:
        """The time from the first text to the first audio."""
        return self.audio_first_s - self.text_s


class Player:
    """What a listener hears who plays audio as it arrives. `silent_s`: gaps after the first audio."""

    def __init__(self) -> None:
        self.silent_s = 0.0
        self.audio_s = 0.0
        self.first_s = 0.0
        self._played_until = 0.0

    def add(self, now: float, seconds: float) -> None:
        """Add audio of this length that arrives now."""
        if not self.audio_s:
            self.first_s = self._played_until = now
        self.silent_s += max(0.0, now - self._played_until)
        self._played_until = max(now, self._played_until) + seconds
        self.audio_s += seconds


def _post(address: Address, path: str, body: Any) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=600)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(answer.read().decode())
    return connection, answer


def _recording(address: Address, text: str) -> bytes:
    """Return a recording in which the speech model reads a text."""
    body = {"model": "tts-1", "input": text, "voice": VOICE, "response_format": "wav"}
    connection, answer = _post(address, "/v1/audio/speech", body)
    data = answer.read()
    connection.close()
    return data


def _spoken(recording: bytes, turn: int) -> list[dict[str, Any]]:
    """Return the content of a message with a recording, a little longer each turn: one that is known costs nothing."""
    data = base64.b64encode(recording + bytes(2 * turn)).decode()
    return [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]


def _ask(address: Address, content: Any) -> SpokenRun:
    """Ask once, and play the answer."""
    body = {
        "model": address.model,
        "messages": [{"role": "user", "content": content}],
        "modalities": ["text", "audio"],
        "audio": {"voice": VOICE, "format": "pcm16"},
        "audio_input": "transcribe",
        "stream": True,
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
    }
    player, text_s = Player(), 0.0
    start = time.perf_counter()
    connection, answer = _post(address, "/v1/chat/completions", body)
    for line in answer:
        if not line.startswith(b"data: {"):
            continue
        now = time.perf_counter() - start
        for choice in json.loads(line[6:])["choices"]:
            audio = choice["delta"].get("audio", {})
            text_s = text_s or (now if audio.get("transcript") else 0.0)
            if data := audio.get("data"):
                player.add(now, len(base64.b64decode(data)) / _BYTES_PER_S)
    connection.close()
    return SpokenRun(text_s, player.first_s, time.perf_counter() - start, player.audio_s, player.silent_s)


def _row(name: str, runs: list[SpokenRun]) -> str:
    def median(field: str) -> float:
        return statistics.median(float(getattr(run, field)) for run in runs)

    fields = ("text_s", "wait_s", "end_s", "audio_s", "silent_s")
    verdict = "yes" if median("wait_s") <= TARGET_S else "no"
    return "| " + " | ".join([name, *(f"{median(field):.2f}" for field in fields), verdict]) + " |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=KINDS[TEXT].starters[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    lines = [
        f"### {machine.heading(options.model, options.threads, 'onnxruntime', machine.rounds(options.rounds))}",
        "",
        "| question | first text | first audio after it | whole answer | audio | silence within it "
        f"| ≤ {TARGET_S:g} s after the first text |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with servers.homeport(options.model, {"THREADS": str(options.threads)}) as served:
        for name, question in QUESTIONS.items():
            recording = _recording(served.address, question)
            contents: dict[str, list[Any]] = {
                f"{name}, written": [question] * (options.rounds + 1),
                f"{name}, spoken": [_spoken(recording, turn) for turn in range(options.rounds + 1)],
            }
            for title, asked in contents.items():
                _ask(served.address, asked[0])  # loads the models, and the dictionaries of the language
                lines.append(_row(title, [_ask(served.address, content) for content in asked[1:]]))
                print(lines[-1], flush=True)
    if options.log:
        log.append(lines)


if __name__ == "__main__":
    main()
