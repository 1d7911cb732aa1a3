"""Conversations and stored chat completions with the current official client, on real weights, across a restart."""

import os
import signal
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.system.server import ServerProcess, running

MODEL = "smollm2-135m"
ASK = [{"role": "user", "content": "Say something about rain."}]


def connected(server: ServerProcess) -> openai.OpenAI:
    """Return the current official client of a server."""
    return openai.OpenAI(base_url=server.base, api_key="x", max_retries=0, timeout=120)


def chat(client: openai.OpenAI, **changes: Any) -> Any:
    """Send a chat of a few tokens whose answer is stored."""
    body = {"model": MODEL, "messages": ASK, "max_tokens": 6, "temperature": 0, "store": True, **changes}
    return client.chat.completions.create(**body)


def test_the_client_keeps_a_conversation(client: openai.OpenAI) -> None:
    """A conversation and its items are created, listed page by page, changed and deleted."""
    made = client.conversations.create(
        metadata={"topic": "rain"},
        items=[{"type": "message", "role": "user", "content": "one"}],
    )
    assert (made.object, made.metadata) == ("conversation", {"topic": "rain"})
    added = client.conversations.items.create(
        made.id,
        items=[{"role": "user", "content": [{"type": "input_text", "text": text}]} for text in ("two", "three")],
    )
    assert [item.type for item in added.data] == ["message", "message"]
    listed = list(client.conversations.items.list(made.id, limit=1, order="asc"))
    assert [getattr(item, "content")[0].text for item in listed] == ["one", "two", "three"]  # noqa: B009 - a union
    item_id = str(listed[1].id)
    assert client.conversations.items.retrieve(item_id, conversation_id=made.id) == listed[1]
    assert client.conversations.items.delete(item_id, conversation_id=made.id).id == made.id
    assert len(list(client.conversations.items.list(made.id))) == 2
    assert client.conversations.update(made.id, metadata={"topic": "snow"}).metadata == {"topic": "snow"}
    assert client.conversations.retrieve(made.id).metadata == {"topic": "snow"}
    assert client.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(made.id)


def test_the_client_finds_its_stored_chats(client: openai.OpenAI) -> None:
    """Stored chats are listed by model and metadata, retrieved with their messages, changed and deleted."""
    made = chat(client, metadata={"run": "a"})
    chunks = list(chat(client, metadata={"run": "b"}, stream=True, n=2))
    kept = client.chat.completions.retrieve(made.id)
    assert kept.choices == made.choices
    streamed = client.chat.completions.retrieve(chunks[0].id)
    texts = {choice.index: choice.message.content for choice in streamed.choices}
    assert texts == {
        index: "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == index)
        for index in range(2)
    }
    assert [each.id for each in client.chat.completions.list(metadata={"run": "b"}, model=MODEL)] == [streamed.id]
    ids = [each.id for each in client.chat.completions.list(limit=1, order="desc")]
    assert ids[:2] == [streamed.id, made.id]
    messages = list(client.chat.completions.messages.list(made.id))
    assert [(each.id, each.content) for each in messages] == [(f"{made.id}-0", ASK[0]["content"])]
    assert client.chat.completions.update(made.id, metadata={"run": "c"}).metadata == {"run": "c"}
    assert client.chat.completions.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(made.id)


def test_a_conversation_carries_what_was_said(client: openai.OpenAI) -> None:
    """A response adds its input and output to its conversation, and the next one reads them."""
    key = client.conversations.create().id
    first = client.responses.create(model=MODEL, input="Hello", conversation=key, max_output_tokens=16)
    second = client.responses.create(model=MODEL, input="Again", conversation=key, max_output_tokens=16)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
    roles = [getattr(item, "role", None) for item in client.conversations.items.list(key, order="asc")]
    assert roles == ["user", "assistant"] * 2


@pytest.mark.one_machine("reads the database from its file")
def test_what_is_stored_survives_a_kill(tmp_path: Path, smollm2: Path) -> None:
    """After a kill −9, what was answered is there; what was deleted is not, in any file of the database."""
    assert smollm2.exists()
    deleted = "a sentence about umbrellas"
    with running(tmp_path / "log", "--model", MODEL) as server, connected(server) as client:
        kept = chat(client)
        gone = chat(client, messages=[{"role": "user", "content": deleted}])
        conversation = client.conversations.create(items=[{"role": "user", "content": "kept"}])
        client.chat.completions.delete(gone.id)
        os.kill(server.pid, signal.SIGKILL)
        server.child.wait(30)
    with running(tmp_path / "log", "--model", MODEL) as server, connected(server) as client:
        assert client.chat.completions.retrieve(kept.id).choices == kept.choices
        assert len(list(client.conversations.items.list(conversation.id))) == 1
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.retrieve(gone.id)
    files = list((tmp_path / "kept").glob("homeport.db*"))
    assert files
    assert not [path for path in files if deleted.encode() in path.read_bytes()]
