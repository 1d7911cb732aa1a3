"""Sends the documents of a folder to a running server's vector store, and asks questions about them.

Knows nothing of where is kept what was sent.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from homeport.client import http_client
from homeport.client.document_folder import DocumentFolder, NewDocument
from homeport.client.runfile import RunningServer
from homeport.domain.errors import HomeportError

_STORES = "/v1/vector_stores"
_BATCH_FILES = 20
_POLL_S = 0.2
_PAGE = 100
_GONE = ("not_found", "file_not_found")
_UNSAFE = str.maketrans(dict.fromkeys('"\\\r\n', "_"))


_TASK = "Answer this question from the texts above, in its own language. Say so if they have no answer: {question}"


class FoundPassage(NamedTuple):
    """A piece of a document that was found."""

    path: str
    score: float
    text: str


class DocumentStore:
    """The vector store of a folder on a running server."""

    def __init__(self, server: RunningServer, key: str, folder: DocumentFolder) -> None:
        self._server = server
        self._key = key
        self._folder = folder

    def update(self, on_progress: Callable[[int, int], None]) -> int:
        """Send what the server lacks, and wait until it is indexed; return the number of documents that were sent.

        `on_progress`: documents done, of how many. Raises the server's errors; what was done until then is kept.
        """
        folder = self._folder
        if not folder.store_id or not self._has_store():
            folder.begin(self._request("POST", _STORES, {"name": folder.folder.name[:256]})["id"])
        changes = folder.scan()
        try:
            for file_id in changes.gone:
                self._delete(file_id)
            for start in range(0, len(changes.new), _BATCH_FILES):
                self._send(changes.new[start : start + _BATCH_FILES])
                on_progress(min(start + _BATCH_FILES, len(changes.new)), len(changes.new))
            if changes.new:
                folder.set_faults(dict(self._faults()))
        finally:
            folder.save()
        return len(changes.new)

    def search(self, question: str, number: int) -> list[FoundPassage]:
        """Return the passages that fit a question best, best first."""
        body = {"query": question, "max_num_results": number}
        found = self._request("POST", f"{_STORES}/{self._folder.store_id}/search", body)["data"]
        return [
            FoundPassage(self._path(each), each["score"], "".join(part["text"] for part in each["content"]))
            for each in found
        ]

    def ask(self, question: str, model: str, passages: Sequence[FoundPassage]) -> Generator[str, None, None]:
        """Yield the answer to a question from passages as it is written.

        They are part of the prompt: small models answer from it more reliably than they call tools.
        """
        texts = [f"[{at}] {passage.path}\n{passage.text}" for at, passage in enumerate(passages, 1)]
        body = {
            "model": model,
            "input": "\n\n".join([*texts, _TASK.format(question=question)]),
            "temperature": 0,
            "store": False,
        }
        for event in http_client.stream_response(self._server, self._key, body):
            if event["type"] == "response.output_text.delta":
                yield event["delta"]

    def _path(self, result: Mapping[str, Any]) -> str:
        return self._folder.path_of(result["file_id"]) or str(result["filename"])

    def _has_store(self) -> bool:
        try:
            return bool(self._request("GET", f"{_STORES}/{self._folder.store_id}")["status"] != "expired")
        except HomeportError as error:
            if error.code in _GONE:
                return False
            raise

    def _delete(self, file_id: str) -> None:
        try:
            self._request("DELETE", f"/v1/files/{quote(file_id, safe='')}")
        except HomeportError as error:
            if error.code not in _GONE:
                raise

    def _send(self, documents: Sequence[NewDocument]) -> None:
        """Upload documents, and wait until they are indexed."""
        ids = []
        for document in documents:
            path = document.states[0].path
            file = self._folder.folder / path
            uploaded = http_client.upload_file(self._server, self._key, file, "user_data", _safe_name(path))
            ids.append(uploaded["id"])
            self._folder.add(document, uploaded["id"])
        base = f"{_STORES}/{self._folder.store_id}/file_batches"
        batch = self._request("POST", base, {"file_ids": ids})
        while batch["file_counts"]["in_progress"]:
            time.sleep(_POLL_S)
            batch = self._request("GET", f"{base}/{batch['id']}")
        self._folder.save()

    def _faults(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of the files that are not indexed, each with the reason."""
        after = ""
        while True:
            path = f"{_STORES}/{self._folder.store_id}/files?filter=failed&limit={_PAGE}{after}"
            page = self._request("GET", path)
            for file in page["data"]:
                yield file["id"], file["last_error"]["message"]
            if not page["has_more"]:
                return
            after = f"&after={page['last_id']}"

    def _request(self, method: str, path: str, body: object = None) -> Any:
        return http_client.request_json(self._server, self._key, method, path, body)


def _safe_name(path: str) -> str:
    """Return the name with which a document is sent: its path, without what a form's header may not hold."""
    return Path(path).as_posix().translate(_UNSAFE)[-255:]
