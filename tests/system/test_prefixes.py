"""Prefixes are computed once: the next turn of a chat reuses them, and so does the next server."""

from pathlib import Path
from typing import Any

import pytest

from tests.system.server import ServerProcess, running

MODEL = "smollm2-135m"
SYSTEM = (
    "You are the clerk of a small railway station in the hills. You know every train, every signal and every cat. "
    "You answer politely, in one or two short sentences, and never speak of politics or of the weather. "
    "Where a traveller asks for a train that does not exist, you name the next one that does. "
)


def _ask(server: ServerProcess, messages: list[dict[str, str]], **wish: object) -> Any:
    body = {"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": 12, **wish}
    answer = server.call("POST", "/v1/chat/completions", body)
    assert answer.status == 200, answer.body
    return answer.json()


def _turns(question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]


def _cached(answer: Any) -> int:
    return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of stored prefixes."""
    return tmp_path_factory.mktemp("prefixes")


def _kept(folder: Path) -> list[Path]:
    return list((folder / MODEL).glob("*.prefix"))


def test_a_system_prompt_survives_a_restart_and_a_chat_reuses_its_answer(folder: Path, tmp_path: Path) -> None:
    """A prefix of three requests is stored; the next server restores it and answers alike. A next turn reuses it."""
    settings = {"PREFIX_CACHE_DIR": str(folder), "SLOTS": "4"}
    with running(tmp_path / "first", "--model", MODEL, **settings) as server:
        first = _ask(server, _turns("When does the next train leave?"))
        assert _cached(first) == 0
        for question in ("Is there a cat?", "Which signal is red?"):
            assert _cached(_ask(server, _turns(question))) > 64
        server.wait("the prefix is written", lambda: _kept(folder))
        said = first["choices"][0]["message"]["content"]
        used = first["usage"]
        following = [*_turns("When does the next train leave?"), {"role": "assistant", "content": said}]
        second = _ask(server, [*following, {"role": "user", "content": "Thank you."}], max_tokens=4)
        # The last sampled token was returned and never computed.
        assert _cached(second) >= used["prompt_tokens"] + used["completion_tokens"] - 1
        assert server.gauge("vllm:external_prefix_cache_hits_total") == 0
    assert (folder / MODEL).stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in _kept(folder)} == {0o600}
    with running(tmp_path / "second", "--model", MODEL, **settings) as server:
        again = _ask(server, _turns("When does the next train leave?"), logprobs=True)
        assert _cached(again) > 64
        server.wait("hits are counted", lambda: server.gauge("vllm:external_prefix_cache_hits_total") > 64)
        assert again["choices"][0]["message"]["content"].split()[:3] == said.split()[:3]
    assert SYSTEM.encode() not in b"".join(file.read_bytes() for file in _kept(folder))
