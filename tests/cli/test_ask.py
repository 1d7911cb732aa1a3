"""`ask`: what is sent to the server's vector store, and what is printed."""

import json
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from homeport.client import document_search, http_client
from homeport.client.runfile import RunningServer
from homeport.domain.errors import HomeportError
from tests.cli.scripted_server import ScriptedServer, run


class FakeStores:
    """The vector stores of a server, in memory: a store is lost if `is_lost`. `sent`: the names of uploaded files."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.deleted: list[str] = []
        self.failed: dict[str, str] = {}
        self.asked: list[Mapping[str, Any]] = []
        self.n_stores = 0
        self.is_lost = False
        self._polls = 0

    def request_json(self, _server: RunningServer, _key: str, method: str, path: str, body: Any = None) -> Any:
        """Answer the requests of the command."""
        if path == "/v1/vector_stores":
            self.n_stores += 1
            return {"id": f"vs_{self.n_stores}"}
        if method == "DELETE":
            self.deleted.append(path.rpartition("/")[2])
            return {}
        if path.endswith("/search"):
            return {
                "data": [self._result(name) for name in self.sent if name not in self.deleted][
                    : body["max_num_results"]
                ]
            }
        if "/files?" in path:
            data = [{"id": f"file-{name}", "last_error": {"message": why}} for name, why in self.failed.items()]
            return {"data": data, "has_more": False}
        if "/file_batches" in path:
            self._polls += 1
            return {"id": "vsfb_1", "file_counts": {"in_progress": self._polls % 2}}
        if self.is_lost:
            self.is_lost = False
            raise HomeportError("Not found.", code="not_found")
        return {"status": "completed"}

    def upload_file(self, _server: RunningServer, _key: str, file: Path, _purpose: str, name: str) -> Any:
        """Record the name of a file."""
        assert file.exists()
        self.sent.append(name)
        return {"id": f"file-{name}"}

    def stream_response(
        self, _server: RunningServer, _key: str, fields: Mapping[str, Any]
    ) -> Generator[Any, None, None]:
        """Answer in two pieces."""
        self.asked.append(fields)
        for piece in ("It was ", "1871."):
            yield {"type": "response.output_text.delta", "delta": piece}
        yield {"type": "response.completed", "response": {}}

    def _result(self, name: str) -> Any:
        text = f"Text of {name}. " * 30
        return {"file_id": f"file-{name}", "filename": name, "score": 0.5, "content": [{"text": text}]}


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch, running: RunningServer, server: ScriptedServer) -> FakeStores:
    made = FakeStores()
    monkeypatch.setattr(document_search, "_POLL_S", 0.0)
    for name in ("request_json", "upload_file", "stream_response"):
        monkeypatch.setattr(http_client, name, getattr(made, name))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    made.mkdir()
    for name in ("a.txt", "b.md"):
        (made / name).write_text(name)
        os.utime(made / name, (1_600_000_000, 1_600_000_000))
    return made


def test_ask_prints_the_answer_and_its_sources(tmp_path: Path, folder: Path, stores: FakeStores) -> None:
    """Documents are sent once, passages are part of the prompt, and the sources follow the answer."""
    result = run(tmp_path, "ask", str(folder), "When was it built?", "-n", "1")
    assert result.exit_code == 0, result.output
    answer, source, preview = [line for line in result.stdout.splitlines() if line]
    assert answer == "It was 1871."
    assert source == f"[1] {folder}/a.txt  0.500"
    assert (len(preview), preview[-1]) == (204, "…")
    [asked] = stores.asked
    assert asked["input"].startswith("[1] a.txt\nText of a.txt.")
    assert asked["input"].endswith("When was it built?")
    run(tmp_path, "ask", str(folder), "Again?")
    assert stores.sent == ["a.txt", "b.md"]


def test_changes_of_the_folder_are_sent(tmp_path: Path, folder: Path, stores: FakeStores) -> None:
    """Later questions send only what is new, and delete what is gone; a lost store is made again."""
    run(tmp_path, "ask", str(folder), "One?")
    (folder / "a.txt").unlink()
    (folder / "c.txt").write_text("c")
    run(tmp_path, "ask", str(folder), "Two?")
    assert (stores.sent, stores.deleted) == (["a.txt", "b.md", "c.txt"], ["file-a.txt"])
    stores.is_lost = True
    run(tmp_path, "ask", str(folder), "Three?")
    assert (stores.n_stores, stores.sent[3:]) == (2, ["b.md", "c.txt"])


def test_passages_can_be_printed_alone(tmp_path: Path, folder: Path, stores: FakeStores) -> None:
    """With --passages no model answers; --json prints the whole texts."""
    result = run(tmp_path, "ask", str(folder), "When?", "--passages", "--json")
    body = json.loads(result.stdout)
    assert (body["answer"], stores.asked) == ("", [])
    assert [source["path"] for source in body["sources"]] == [f"{folder}/a.txt", f"{folder}/b.md"]
    assert body["sources"][0]["text"].startswith("Text of a.txt.")


def test_the_answer_is_a_field_of_the_json(tmp_path: Path, folder: Path, stores: FakeStores) -> None:
    """--json prints nothing but the answer with its sources, and --model names who answers."""
    result = run(tmp_path, "ask", str(folder), "When?", "--json", "--model", "large")
    assert json.loads(result.stdout)["answer"] == "It was 1871."
    assert stores.asked[0]["model"] == "large"


def test_documents_that_cannot_be_read_are_named(tmp_path: Path, folder: Path, stores: FakeStores) -> None:
    """The reason is on standard error; a folder with nothing to search is an error."""
    stores.failed = {"a.txt": "It is empty."}
    result = run(tmp_path, "ask", str(folder), "When?")
    assert f"{folder}/a.txt is not searched: It is empty." in result.stderr
    stores.failed["b.md"] = "It is empty."
    (folder / "b.md").write_text("changed")
    result = run(tmp_path, "ask", str(folder), "When?")
    assert result.exit_code != 0
    assert "no documents" in result.stderr
