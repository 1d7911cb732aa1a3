"""Whether answers bound to JSON Schemas are valid: `python -m bench.schema_answers DATA --url URL`.

DATA is a file of JSON lines (or `.gz`), each with a `schema`. A running server answers with schemas of it in a fixed
random order, until it has served as many as are wanted, at temperature 1, streamed and whole. Every answer that ends
with `stop` must be valid by `jsonschema`, with the formats that it knows. The exit status is 1 if one is not.
"""

import argparse
import concurrent.futures
import gzip
import json
import random
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
from jsonschema.validators import validator_for

Schema = dict[str, Any]
Body = dict[str, Any]
_LIMIT_S = 300.0
_SHOWN = 300


class Endpoint(NamedTuple):
    """A server's base URL, such as http://127.0.0.1:8080/v1, and what is sent to it."""

    url: str
    model: str
    max_tokens: int


class Outcome(NamedTuple):
    """What became of one schema in one way: `valid`, `cut`, `refused` or a fault, with what was wrong."""

    kind: str
    detail: str = ""


def main() -> int:
    """Ask with every schema, in both ways, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8080/v1")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--schemas", type=int, default=200, help="schemas that the server does not refuse")
    parser.add_argument("--max-tokens", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args()
    to = Endpoint(options.url, options.model, options.max_tokens)
    found: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    faults: list[str] = []
    for id, outcomes in _ask_all(to, _read(options.data), options.schemas, options.at_once):
        for is_streamed, outcome in outcomes.items():
            found[is_streamed][outcome.kind] += 1
            if outcome.kind not in ("valid", "cut", "refused"):
                faults.append(f"{id}: {outcome.kind}: {outcome.detail}")
    _print(found, faults)
    return 1 if faults else 0


def _ask_all(
    to: Endpoint, cases: Iterable[tuple[str, Schema]], wanted: int, at_once: int
) -> Iterator[tuple[str, Mapping[bool, Outcome]]]:
    """Yield what became of each schema, until as many as are `wanted` were not refused."""
    left, waiting = wanted, iter(cases)
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        while batch := list(islice(waiting, min(left, at_once))):
            for (id, _), outcomes in zip(batch, pool.map(lambda case: both(to, *case), batch), strict=True):
                left -= outcomes[False].kind != "refused"
                yield id, outcomes


def both(to: Endpoint, id: str, schema: Schema) -> Mapping[bool, Outcome]:
    """Ask with a schema, whole and streamed (True)."""
    return {is_streamed: _outcome(to, id, schema, is_streamed=is_streamed) for is_streamed in (False, True)}


def judge(schema: Schema, content: str, finish: str) -> Outcome:
    """Judge an answer by its schema."""
    if finish == "length":
        return Outcome("cut")
    if finish != "stop":
        return Outcome("wrong reason", finish)
    try:
        value = json.loads(content)
    except ValueError as error:
        return Outcome("no JSON", f"{error}: {content[:_SHOWN]}")
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    wrong = next(kind(schema, format_checker=kind.FORMAT_CHECKER).iter_errors(value), None)
    return Outcome("valid") if wrong is None else Outcome("invalid", f"{wrong.message[:_SHOWN]} in {content[:_SHOWN]}")


def _outcome(to: Endpoint, id: str, schema: Schema, *, is_streamed: bool) -> Outcome:
    body = {
        "model": to.model,
        "messages": [{"role": "user", "content": "Give an example of an answer in the format that is asked for."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
        "max_tokens": to.max_tokens,
        "temperature": 1,
        "seed": sum(id.encode()),
        "stream": is_streamed,
    }
    try:
        return judge(schema, *_send(to, body))
    except urllib.error.HTTPError as error:
        with error:
            message = error.read().decode("utf-8", "replace")[:_SHOWN]
        return Outcome("refused" if error.code == 400 else f"status {error.code}", message)
    except (OSError, ValueError, KeyError) as error:
        return Outcome("no answer", repr(error)[:_SHOWN])


def _send(to: Endpoint, body: Body) -> tuple[str, str]:
    """Return an answer's content and finish reason. Raises ValueError for an error in a stream."""
    fields = {"Content-Type": "application/json", "Authorization": "Bearer bench"}
    address = f"{to.url}/chat/completions"
    request = urllib.request.Request(address, json.dumps(body).encode(), fields)  # noqa: S310 - the caller's address
    with urllib.request.urlopen(request, timeout=_LIMIT_S) as answer:  # noqa: S310
        if not body["stream"]:
            choice = json.load(answer)["choices"][0]
            return choice["message"]["content"] or "", choice["finish_reason"]
        return _join(line[6:] for line in answer if line.startswith(b"data: {"))


def _join(lines: Iterable[bytes]) -> tuple[str, str]:
    content, finish = "", ""
    for line in lines:
        chunk = json.loads(line)
        if "error" in chunk:
            raise ValueError(chunk["error"])
        for choice in chunk["choices"]:
            content += choice["delta"].get("content") or ""
            finish = choice["finish_reason"] or finish
    return content, finish


def _read(path: Path) -> Iterator[tuple[str, Schema]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    random.Random(0).shuffle(cases)
    for case in cases:
        yield case["id"], case["schema"]


def _print(found: Mapping[bool, Counter[str]], faults: Iterable[str]) -> None:
    kinds = sorted({"valid", "cut", "refused", *found[False], *found[True]})
    served = found[False].total() - found[False]["refused"]
    print(f"{served} schemas served")
    print("| answers | whole | streamed |\n|---|---|---|")
    for kind in kinds:
        print(f"| {kind} | {found[False][kind]} | {found[True][kind]} |")
    print(*faults, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
