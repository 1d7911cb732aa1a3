"""`python -m bench.batches`: callers' time to first token with and without a running batch, in one run.

Each round sends the same load twice, with random arrivals: alone, and while a long batch runs. No prefix is retained,
so both compute the same. The figure is the ratio of the 99th percentiles over all rounds. Prints a table and, with
--log, appends it to bench/LOG.md.
"""

import argparse
import http.client
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from bench import log, machine, servers
from bench.load import Address
from bench.run_stats import Outcome, quantile
from bench.servers import Served
from bench.workload import Workload

MODEL = "smollm2-135m"
LIMIT = 1.5
_LINES = 2000
_TIMEOUT_S = 300.0
_PATH, _URL = "/v1/batches", "/v1/completions"
_BOUNDARY = "homeport-bench"


def _call(to: Address, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Any:
    with closing(http.client.HTTPConnection(to.host, to.port, timeout=600)) as line:
        line.request(method, path, body, {"Content-Type": kind, "Authorization": f"Bearer {to.key}"})
        answer = line.getresponse()
        content = json.loads(answer.read())
    if answer.status != 200:
        raise RuntimeError(content)
    return content


def _until(is_reached: Callable[[], bool]) -> None:
    end = time.monotonic() + _TIMEOUT_S
    while not is_reached():
        if time.monotonic() > end:
            raise TimeoutError(f"the batch did not reach the expected state in {_TIMEOUT_S:.0f} s")
        time.sleep(0.1)


class Filler:
    """A batch of prompts like those of callers, which runs until it is canceled."""

    def __init__(self, to: Address, prompt_tokens: int, turn: int) -> None:
        work = Workload(f"batch {turn}", _LINES, prompt_tokens, 64)
        lines = [self._line(to, at, prompt) for at, prompt in enumerate(work.prompts(turn))]
        parts = [
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="lines.jsonl"\r\n\r\n',
            "\n".join(lines),
            f"\r\n--{_BOUNDARY}--\r\n",
        ]
        file = _call(to, "POST", "/v1/files", "".join(parts).encode(), f"multipart/form-data; boundary={_BOUNDARY}")
        body = {"input_file_id": file["id"], "endpoint": _URL, "completion_window": "24h"}
        self._to = to
        self._id = _call(to, "POST", _PATH, json.dumps(body).encode())["id"]
        _until(lambda: self.done() > 0)

    @staticmethod
    def _line(to: Address, at: int, prompt: list[int]) -> str:
        body = {"model": to.model, "prompt": prompt, "max_tokens": 64, "temperature": 0, "ignore_eos": True}
        return json.dumps({"custom_id": str(at), "method": "POST", "url": _URL, "body": body})

    def done(self) -> int:
        """The number of lines completed so far."""
        return int(_call(self._to, "GET", f"{_PATH}/{self._id}")["request_counts"]["completed"])

    def end(self) -> None:
        """Cancel it and wait for its end."""
        _call(self._to, "POST", f"{_PATH}/{self._id}/cancel")
        _until(lambda: _call(self._to, "GET", f"{_PATH}/{self._id}")["status"] == "cancelled")


class Rounds(msgspec.Struct):
    """All rounds. `lines` were completed in the `seconds` in which callers were served."""

    alone: list[Outcome]
    beside: list[Outcome]
    lines: int = 0
    seconds: float = 0.0


def measure(side: Served, work: Workload, n_rounds: int, say: Callable[[str], None]) -> Rounds:
    """Run all rounds. Raises RuntimeError if a caller receives no complete answer."""
    rounds = Rounds([], [])
    for turn in range(n_rounds):
        rounds.alone.append(side.measure(work, turn))
        filler = Filler(side.address, work.prompt_tokens, turn)
        before = filler.done()
        rounds.beside.append(side.measure(work, turn))
        rounds.lines += filler.done() - before
        rounds.seconds += rounds.beside[-1].wall_s
        filler.end()
        if errors := rounds.alone[-1].errors + rounds.beside[-1].errors:
            output = side.child.last_output()
            raise RuntimeError(f"{errors} of {2 * work.requests} callers received no complete answer:\n{output}")
        say(f"round {turn}: p99 {_ms(rounds.alone[-1:], 0.99)} ms alone, {_ms(rounds.beside[-1:], 0.99)} ms next to it")
    return rounds


def _ms(outcomes: list[Outcome], share: float) -> str:
    return f"{_quantile(outcomes, share) * 1000:.0f}"


def _quantile(outcomes: list[Outcome], share: float) -> float:
    return quantile([each for outcome in outcomes for each in outcome.ttft_s], share)


def _row(work: Workload, rounds: Rounds) -> str:
    ratio = _quantile(rounds.beside, 0.99) / _quantile(rounds.alone, 0.99)
    cells = [_ms(each, share) for share in (0.5, 0.99) for each in (rounds.alone, rounds.beside)]
    pace = f"{rounds.lines / rounds.seconds:.2f}"
    verdict = "yes" if ratio <= LIMIT else "no"
    return "| " + " | ".join([work.name, *cells, f"{ratio:.2f}", f"≤ {LIMIT}: {verdict}", pace]) + " |"


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    works = [
        Workload(f"{rate:g} callers/s, prompts of 200, 32 new", options.requests, 200, 32, rate_per_s=rate)
        for rate in (0.5, 2.0)
    ]
    lines = [
        f"### {machine.heading(MODEL, options.threads, 'xllamacpp', machine.rounds(options.rounds))}",
        "",
        "| load | TTFT p50 ms alone | beside a batch | p99 alone | beside | p99 ratio | target | lines/s meanwhile |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        storage = {"DATABASE_URL": f"sqlite:///{folder}/bench.db", "BLOBS": str(Path(folder) / "blobs")}
        settings = {**storage, "THREADS": str(options.threads), "OFFLINE": "1", "RETAIN": "0", "LOG_LEVEL": "warning"}
        with servers.homeport(MODEL, settings) as side:
            side.measure(Workload("warm-up", 8, 200, 16), 0)
            for work in works:
                lines.append(
                    _row(work, measure(side, work, options.rounds, lambda text: print(f"  {text}", flush=True)))
                )
                print(lines[-1], flush=True)
    if options.log:
        log.append(lines)


if __name__ == "__main__":
    main()
