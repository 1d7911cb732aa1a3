"""`python -m bench.file_search`: 200 documents indexed and 100 questions asked, on a server of its own, in one run.

Indexing is compared with the embeddings of the same chunks: sides alternate in rounds, each round with another store.
The last row is that of `bench.vector_search`. Prints a table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import openai

from bench import log, machine, run_stats, servers, table, vector_search
from bench.file_search import corpus
from bench.file_search.corpus import Corpus
from bench.plan import Plan
from bench.row import Row
from homeport.settings import load

MODEL = "multilingual-e5-small"
_FIRST_TARGET, _RATE_TARGET = 90.0, 0.9
_INPUTS = 64
_POLL_S = 0.05


def rows(plan: Plan) -> list[Row]:
    """Measure what is found first, and how fast documents are indexed."""
    made = corpus.make()
    with tempfile.TemporaryDirectory() as folder, _client(plan, Path(folder)) as client:
        ids = {name: client.files.create(file=(name, data), purpose="assistants").id for name, data in made.documents}
        rates: list[float] = []
        bare: list[float] = []
        store = ""
        for turn in range(plan.rounds):
            plan.say(f"documents: round {turn + 1} of {plan.rounds}")
            store, seconds = _index(client, list(ids.values()))
            chunks = [
                part.text or ""
                for name in ids
                for part in client.vector_stores.files.content(ids[name], vector_store_id=store)
            ]
            rates.append(len(chunks) / seconds)
            bare.append(len(chunks) / _embed(client, chunks))
        first, taken = _ask(client, store, made)
    counts = f"{len(made.documents)} documents, English and Chinese, {len(made.questions)} questions"
    note = f"{counts}; search p95 {taken:.0f} ms"
    return [
        Row("file search: right document first", "–", "%", first, None, _FIRST_TARGET, note=note),
        Row(
            "file search: indexing",
            "embeddings of the same chunks",
            "chunks/s",
            run_stats.median(rates),
            run_stats.median(bare),
            _RATE_TARGET,
            note="reading of documents and storing of chunks included",
        ),
        *vector_search.rows(plan),
    ]


@contextmanager
def _client(plan: Plan, home: Path) -> Iterator[openai.OpenAI]:
    (home / "models").symlink_to(plan.home / "models")
    with servers.homeport(MODEL, {"HOME": str(home)}, waits=False) as served:
        yield openai.OpenAI(base_url=f"http://{served.address.host}:{served.address.port}/v1", api_key="bench")


def _index(client: openai.OpenAI, ids: Sequence[str]) -> tuple[str, float]:
    """Index files in a new store; return its id and the seconds it took."""
    store = client.vector_stores.create(name="bench")
    began = time.perf_counter()
    batch = client.vector_stores.file_batches.create(store.id, file_ids=list(ids))
    while batch.status == "in_progress":
        time.sleep(_POLL_S)
        batch = client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id)
    if batch.file_counts.completed != len(ids):
        raise SystemExit(f"only {batch.file_counts.completed} of {len(ids)} documents were indexed")
    return store.id, time.perf_counter() - began


def _embed(client: openai.OpenAI, texts: Sequence[str]) -> float:
    """Embed texts; return the seconds it took."""
    began = time.perf_counter()
    for start in range(0, len(texts), _INPUTS):
        client.embeddings.create(model=MODEL, input=list(texts[start : start + _INPUTS]))
    return time.perf_counter() - began


def _ask(client: openai.OpenAI, store: str, made: Corpus) -> tuple[float, float]:
    """Return the percentage of questions whose document is found first, and the p95 of a search in milliseconds."""
    n_right, taken = 0, []
    for question in made.questions:
        began = time.perf_counter()
        found = client.vector_stores.search(store, query=question.text, max_num_results=1).data
        taken.append((time.perf_counter() - began) * 1e3)
        n_right += bool(found) and found[0].filename == question.document
    return 100 * n_right / len(made.questions), sorted(taken)[round(0.95 * len(taken)) - 1]


def main() -> None:
    """Measure the rows and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench.file_search", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, and searches over a tenth of the chunks")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    plan = Plan(MODEL, rounds, os.cpu_count() or 1, load().home, say=print, quick=arguments.quick)
    heading = machine.heading("file search", plan.threads, "none", machine.rounds(rounds))
    lines = [f"### {heading}", "", *table.targets(rows(plan))]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
