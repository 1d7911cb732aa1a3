"""lm-evaluation-harness gets from the server exactly the scores of a plain forward pass."""

import json

import numpy as np
import pytest

from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from tests.system.client_programs import run_client
from tests.system.server import ServerProcess

CONTEXTS = (
    "The capital of France is",
    "Water freezes at",
    "The opposite of hot is",
    "Two plus two is",
    "The sun rises in the",
    "A dog is a kind of",
    "The first president of the United States was",
    "Roses are red, violets are",
    "The largest planet is",
    "My favourite colour is",
)
ENDINGS = (" Paris", " zero degrees", " cold", " east", " blue, and so is the sea")


def _direct(executor: LlamaExecutor, context: list[int], ending: list[int]) -> float:
    ids = context + ending
    n = len(ids)
    wanted = np.arange(n, dtype=np.int32)
    batch = TokenBatch(
        np.array(ids, np.int32), np.arange(n, dtype=np.int32), np.zeros(n, np.int32), wanted
    )  # fmt: skip
    rows = executor.forward(batch).astype(np.float64)[len(context) - 1 : -1]
    executor.release([0])
    top = rows.max(axis=1, keepdims=True)
    logs = rows - top - np.log(np.exp(rows - top).sum(axis=1, keepdims=True))
    return float(sum(logs[row, token] for row, token in enumerate(ending)))


def test_fifty_cases_score_as_a_plain_forward_pass(server: ServerProcess, executor: LlamaExecutor) -> None:
    """The `local-completions` client, with our token ids, scores what a plain forward pass does."""
    cases = [(context, ending) for context in CONTEXTS for ending in ENDINGS]
    ids = {}
    for context, ending in cases:
        for text in (context, context + ending):
            ids[text] = executor.tokenize(text, special=False)
    given = {"url": f"{server.base}/completions", "model": "smollm2-135m", "cases": cases}
    scored = run_client("lm_eval_client", stdin=json.dumps(given), timeout_s=300)
    assert len(scored) == 50
    for (context, ending), (logprob, _) in zip(cases, scored, strict=True):
        whole, start = ids[context + ending], len(ids[context])
        # One request at a time is one batch of the same shape on both sides, so the kernels round alike.
        assert logprob == pytest.approx(_direct(executor, whole[:start], whole[start:]), abs=1e-3), context
