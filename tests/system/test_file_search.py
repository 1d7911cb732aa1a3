"""File searches of a library of 200 documents, alone and in responses, with the official client on real models."""

import json
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import docx
import openai
import pytest

from tests.openai_schemas import check, check_event
from tests.samples.documents import write_chinese_pdf, write_pdf
from tests.samples.library import Entry, entries
from tests.system.server import ServerProcess

SUFFIXES = ("txt", "md", "html", "pdf", "docx")
EVENT = "response.file_search_call"
QUESTIONS = 6


class Library(NamedTuple):
    """An indexed store, and the entries of its files by the files' ids."""

    store_id: str
    files: Mapping[str, Entry]


def write(path: Path, text: str) -> None:
    """Write a document of the type that its name says."""
    lines = text.split("\n")
    if path.suffix == ".docx":
        document = docx.Document()
        for line in lines:
            document.add_paragraph(line)
        document.save(str(path))
    elif path.suffix == ".pdf" and text.isascii():
        write_pdf(path, lines)
    elif path.suffix == ".pdf":
        write_chinese_pdf(path, "".join(lines))
    elif path.suffix == ".html":
        path.write_text("".join(f"<p>{line}</p>" for line in lines), encoding="utf-8")
    else:
        path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def client(default_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The official client of a server with the default models; it does not retry."""
    with openai.OpenAI(base_url=default_server.base, api_key="sk-test", max_retries=0, timeout=120) as made:
        yield made


@pytest.fixture(scope="module")
def library(client: openai.OpenAI, tmp_path_factory: pytest.TempPathFactory, multilingual_e5: Path) -> Library:
    """200 documents of all types, English and Chinese, in one store."""
    assert multilingual_e5.exists()
    folder = tmp_path_factory.mktemp("library")
    files: dict[str, Entry] = {}
    for at, entry in enumerate(entries()):
        path = folder / f"{at}.{SUFFIXES[at // 2 % len(SUFFIXES)]}"
        write(path, entry.text)
        with path.open("rb") as upload:
            files[client.files.create(file=upload, purpose="assistants").id] = entry
    store = client.vector_stores.create(name="Library")
    batch = client.vector_stores.file_batches.create_and_poll(store.id, file_ids=list(files), poll_interval_ms=200)
    assert (batch.status, batch.file_counts.completed) == ("completed", 200)
    return Library(store.id, files)


def test_the_right_document_is_first(client: openai.OpenAI, library: Library) -> None:
    """Of 100 questions, half of them Chinese, the document with the answer is first for at least 90."""
    asked = [*library.files.items()][::2][:100:2] + [*library.files.items()][1::2][:100:2]
    assert len(asked) == 100
    n_right = 0
    for file_id, entry in asked:
        (first, *_) = client.vector_stores.search(library.store_id, query=entry.question, max_num_results=2)
        n_right += first.file_id == file_id and entry.answer in first.content[0].text
    assert n_right >= 90


def ask(library: Library, question: str, **fields: Any) -> dict[str, Any]:
    """Return the fields of a response whose model has to search."""
    return {
        "model": "qwen2.5-coder-0.5b",
        "input": question,
        "tools": [{"type": "file_search", "vector_store_ids": [library.store_id], "max_num_results": 2}],
        "tool_choice": {"type": "file_search"},
        "max_tool_calls": 1,
        "max_output_tokens": 200,
        "temperature": 0,
        **fields,
    }


def test_answers_cite_their_documents(client: openai.OpenAI, library: Library) -> None:
    """Streamed responses search, answer from what they found and cite the document, in English and Chinese.

    The model is small: it may answer some of the questions with something else.
    """
    n_cited = 0
    for file_id, entry in islice(library.files.items(), QUESTIONS):
        events = list(client.responses.create(**ask(library, entry.question), stream=True))
        for event in events:
            check_event(event.to_dict(mode="json"))
        kinds = [event.type for event in events]
        first = kinds.index(f"{EVENT}.in_progress")
        assert kinds[first : first + 3] == [f"{EVENT}.in_progress", f"{EVENT}.searching", f"{EVENT}.completed"]
        body = events[-1].to_dict(mode="json")["response"]
        check("Response", body)
        search, message = body["output"]
        assert (search["type"], search["status"], search["results"]) == ("file_search_call", "completed", None)
        assert search["queries"][0]
        [part] = message["content"]
        cited = {citation["file_id"] for citation in part["annotations"]}
        assert ("response.output_text.annotation.added" in kinds) == bool(cited)
        n_cited += entry.answer in part["text"] and file_id in cited
    assert n_cited >= QUESTIONS // 2


def test_results_are_included(client: openai.OpenAI, library: Library) -> None:
    """With `include`, the item has its results, and a later response reads them again."""
    entry = next(iter(library.files.values()))
    response = client.responses.create(**ask(library, entry.question, include=["file_search_call.results"]))
    item = response.output[0]
    assert item.type == "file_search_call"
    assert item.results is not None
    assert len(item.results) == 2
    assert all(result.text and result.filename and 0 <= (result.score or 0) <= 1 for result in item.results)
    again = client.responses.create(
        model="qwen2.5-coder-0.5b", input="Thank you.", previous_response_id=response.id, max_output_tokens=16
    )
    assert again.output[0].type == "message"


def test_searches_work_without_a_caller(client: openai.OpenAI, library: Library) -> None:
    """A background response and a line of a batch search, too, and find the document."""
    file_id, entry = [*library.files.items()][1]
    body = ask(library, entry.question, include=["file_search_call.results"])
    background = client.responses.create(**body, background=True)
    lines = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}).encode()
    file = client.files.create(file=("lines.jsonl", lines), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    deadline = time.monotonic() + 60
    while background.status not in ("completed", "failed") or batch.status not in ("completed", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.1)  # a poll: another process offers no event to wait on
        background = client.responses.retrieve(background.id)
        batch = client.batches.retrieve(batch.id)
    assert batch.output_file_id is not None
    answered = json.loads(client.files.content(batch.output_file_id).read())["response"]["body"]
    for response in (background.to_dict(mode="json"), answered):
        search, message = response["output"]
        assert (search["type"], search["status"], message["type"]) == ("file_search_call", "completed", "message")
        assert file_id in {result["file_id"] for result in search["results"]}
