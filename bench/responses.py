"""`python -m bench.responses`: what state costs the gateway: a stored response, and one that continues a long chain.

The scripted engine answers, and the whole server with its SQLite database runs. A figure is the gateway's CPU time per
request, above that of the same request without state; both kinds of request alternate in rounds. Prints a table and,
with --log, appends it to bench/LOG.md.
"""

import argparse
import http.client
import json
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import log, machine, run_stats, servers, table
from bench.plan import Plan
from bench.row import Row
from bench.servers import Served
from homeport.api.request_context import ANYONE
from homeport.domain.responses import Item, StoredResponse
from homeport.settings import load
from homeport.store.database import Database
from homeport.store.responses import SqlResponseRepository

TURNS = 500
_STORED_LIMIT_MS, _CHAIN_LIMIT_MS = 2.0, 50.0
_TOKENS = 16


def rows(plan: Plan) -> list[Row]:
    """Measure both rows on one server."""
    requests = 10 if plan.quick else 50
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "models").symlink_to(plan.home / "models")
        settings = {"HOME": folder, "API_KEYS": "bench"}
        with servers.homeport(plan.model, settings, ("-m", "bench.scripted", "serve")) as side:
            _cpu_ms(side, {"store": True}, 5)
            end = _seed_chain(home)
            stored, chained = [], []
            for turn in range(plan.rounds):
                plan.say(f"state: round {turn + 1} of {plan.rounds}")
                plain = _cpu_ms(side, {"store": False}, requests)
                stored.append(_cpu_ms(side, {"store": True}, requests) - plain)
                chained.append(_cpu_ms(side, {"store": True, "previous_response_id": end}, requests) - plain)
    note = "scripted engine, CPU above that of a response without state"
    return [
        _row("gateway CPU of a stored response", stored, _STORED_LIMIT_MS, note),
        _row(f"gateway CPU of a stored response after {TURNS} turns", chained, _CHAIN_LIMIT_MS, note),
    ]


def _row(work: str, costs: list[float], limit: float, note: str) -> Row:
    return Row(work, "–", "ms", run_stats.median(costs), None, limit, at_most=True, note=note)


def _cpu_ms(side: Served, fields: Mapping[str, Any], requests: int) -> float:
    """Create responses one after the other; return the gateway's CPU time per response, in milliseconds."""
    to = side.address
    body = json.dumps({"model": to.model, "input": "Hello", "max_output_tokens": _TOKENS, **fields})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {to.key}"}
    with closing(http.client.HTTPConnection(to.host, to.port, timeout=60)) as line:
        before = side.child.main_cpu_s()
        for _ in range(requests):
            line.request("POST", "/v1/responses", body, headers)
            answer = line.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise RuntimeError(content.decode())
        return (side.child.main_cpu_s() - before) / requests * 1e3


def _seed_chain(home: Path) -> str:
    """Store a chain of short turns in the server's database; return the id of its last response."""
    with closing(Database(f"sqlite:///{home / 'homeport.db'}")) as database:
        repository = SqlResponseRepository(database)
        for turn in range(TURNS):
            repository.add(_stored(turn))
    return _id("resp", TURNS - 1)


def _stored(turn: int) -> StoredResponse:
    def message(role: str, kind: str, text: str, id: str) -> Item:
        part = {"type": kind, "text": text, **({"annotations": [], "logprobs": []} if kind == "output_text" else {})}
        body = {"id": id, "type": "message", "role": role, "status": "completed", "content": [part]}
        return Item(id, json.dumps(body))

    return StoredResponse(
        id=_id("resp", turn),
        project=ANYONE.project,
        status="completed",
        created_at=int(time.time()),
        body="{}",
        previous_id=_id("resp", turn - 1) if turn else None,
        input=(message("user", "input_text", f"Question {turn}: " + "why? " * 20, _id("msg_in", turn)),),
        output=(message("assistant", "output_text", f"Answer {turn}: " + "because. " * 40, _id("msg_out", turn)),),
    )


def _id(kind: str, turn: int) -> str:
    return f"{kind}_{turn:032x}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.responses", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few requests: only to check that everything works")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    threads = os.cpu_count() or 1
    plan = Plan("smollm2-135m", arguments.rounds, threads, load().home, say=lambda _: None, quick=arguments.quick)
    heading = machine.heading("the state of responses", threads, "xllamacpp", machine.rounds(arguments.rounds))
    lines = [f"### {heading}", "", *table.targets(rows(plan))]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
