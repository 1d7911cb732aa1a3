"""What clients keep for the server, sealed: it is accepted back by the next server with the same home."""

from pathlib import Path
from typing import Any, Literal

import openai

from tests.system import reasoning_model
from tests.system.server import ServerProcess, running

SEALED: Literal["reasoning.encrypted_content"] = "reasoning.encrypted_content"


def connected(server: ServerProcess) -> openai.OpenAI:
    """Return a client of a server."""
    return openai.OpenAI(base_url=server.base, api_key="x", max_retries=0, timeout=120)


def test_sealed_items_outlive_a_restart(tmp_path: Path, smollm2: Path) -> None:
    """Encrypted reasoning and a compaction that one server made are the same prompt for the next one."""
    reasoning_model.install_reasoning_model(tmp_path / "home", smollm2)
    asked: Any = [{"role": "user", "content": "Say hello."}]
    limits: Any = {"model": reasoning_model.NAME, "max_output_tokens": 24, "temperature": 0, "store": False}
    counts = []
    items: Any = []
    for _ in range(2):
        with running(tmp_path / "log", HOME=str(tmp_path / "home")) as server, connected(server) as client:
            if not items:
                thought = client.responses.create(input=asked, include=[SEALED], **limits).output[0].to_dict()
                assert thought["encrypted_content"]
                sealed = {"type": "reasoning", "summary": [], "encrypted_content": thought["encrypted_content"]}
                trigger: Any = [*asked, {"type": "compaction_trigger"}]
                [compaction] = client.responses.create(input=trigger, **limits).output
                items = [compaction.to_dict(), *asked, sealed, {"role": "assistant", "content": "Hello."}, *asked]
            found = client.responses.input_tokens.count(model=reasoning_model.NAME, input=items).input_tokens
            without = client.responses.input_tokens.count(model=reasoning_model.NAME, input=items[1:]).input_tokens
            assert found > without
            counts.append(found)
    assert counts[0] == counts[1]
