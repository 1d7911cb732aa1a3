"""Long prompts that OpenVINO computes, on a whole server."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.server import ServerProcess, running

pytest.importorskip("openvino", reason="the extra `prompts` is not installed; there are wheels for Linux on x86-64")

MODEL = "smollm2-135m"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def openvino_server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server that has computed a first long prompt, and computes those that follow with OpenVINO if it is faster."""
    assert smollm2.exists()
    with running(tmp_path_factory.mktemp("openvino") / "log", "--model", MODEL) as started:
        yield started


def ask(server: ServerProcess, n_words: int, **more: Any) -> dict[str, Any]:
    """Ask with a prompt of about `n_words` words, which begins like no other, so that no prefix of it is kept."""
    prompt = f"{next(_NUMBERS)}. " + " ".join(["The history of the town"] * (n_words // 5))
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 8, **more}
    answer = server.call("POST", "/v1/completions", body)
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def test_long_prompts_are_answered_and_reported(openvino_server: ServerProcess) -> None:
    """Prompts of any length are answered and counted; `/v1/models` names OpenVINO once it computes."""

    def is_reported() -> bool:
        ask(openvino_server, 200)
        described = json.loads(openvino_server.call("GET", f"/v1/models/{MODEL}").body)
        return str(described.get("prompts", "")).startswith("OpenVINO")

    openvino_server.wait("OpenVINO computes prompts", is_reported, 120)
    for n_words in (5, 50, 700, 1500):
        usage = ask(openvino_server, n_words, temperature=0)["usage"]
        assert usage["prompt_tokens"] >= n_words
        assert 0 < usage["completion_tokens"] <= 8


def test_scores_of_a_prompt_are_the_kernels_own(openvino_server: ServerProcess) -> None:
    """A prompt whose own tokens are scored has a score for each of them but the first."""
    choice = ask(openvino_server, 200, echo=True, logprobs=1, max_tokens=0)["choices"][0]
    scores = choice["logprobs"]["token_logprobs"][1:]
    assert len(scores) >= 199
    assert all(score <= 0 for score in scores)
