"""Which documents of a folder a server has in which vector store, kept in a file between questions.

A document is known by the hash of its content, so one that is moved, copied or touched is not sent again. Knows nothing
of how documents are sent.
"""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from homeport.client.folder_files import SETTLED_NS, FileState, hash_file, list_files
from homeport.formats import atomic

SUFFIXES = frozenset(
    {
        *(".txt", ".md", ".rst", ".html", ".htm", ".json", ".csv", ".tsv", ".log", ".tex", ".yaml", ".yml", ".toml"),
        *(".pdf", ".docx", ".pptx", ".xlsx"),
        *(".py", ".js", ".ts", ".java", ".c", ".h", ".cpp", ".cs", ".go", ".rs", ".rb", ".php", ".sh", ".sql", ".css"),
    }
)
_VERSION = 1


class _Document(msgspec.Struct, frozen=True, array_like=True):
    """A document that the server has as `file_id`. `fault`: why it cannot be searched."""

    state: FileState
    hashed_ns: int
    sha256: str
    file_id: str
    fault: str = ""


class _Content(msgspec.Struct, array_like=True):
    version: int
    folder: str
    store_id: str
    documents: list[_Document]


class NewDocument(msgspec.Struct, frozen=True):
    """A document that the server does not have yet; `states`: the files with this content."""

    sha256: str
    states: tuple[FileState, ...]
    hashed_ns: int


class FolderChanges(NamedTuple):
    """What differs between a folder and its store. `gone`: the ids of files that the folder has no more."""

    new: list[NewDocument]
    gone: list[str]


class DocumentFolder:
    """The documents of one folder. `home`: the data folder, in which this is kept. `store_id`: empty: there is none."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder.resolve()
        identity = hashlib.sha256(str(self.folder).encode("utf-8", "surrogateescape")).hexdigest()
        self._file = home / "ask" / f"{identity[:32]}.index"
        self.store_id = ""
        self._documents: dict[str, _Document] = {}
        self._read()

    def __len__(self) -> int:
        """Return the number of documents that can be searched."""
        return sum(not document.fault for document in self._documents.values())

    @property
    def faults(self) -> list[tuple[str, str]]:
        """The documents that cannot be searched, each with the reason."""
        return [(path, each.fault) for path, each in self._documents.items() if each.fault]

    def begin(self, store_id: str) -> None:
        """Forget all documents: the server has a new store for them."""
        self.store_id = store_id
        self._documents = {}

    def scan(self) -> FolderChanges:
        """Compare the folder with what the server has. Files that are gone are dropped."""
        by_hash = {each.sha256: each for each in self._documents.values()}
        kept: dict[str, _Document] = {}
        new: dict[str, NewDocument] = {}
        for state in list_files(self.folder, SUFFIXES):
            known = self._documents.get(state.path)
            if known and known.state == state and known.hashed_ns - state.changed_ns > SETTLED_NS:
                kept[state.path] = known
                continue
            hashed_ns = time.time_ns()
            try:
                digest = hash_file(self.folder / state.path)
            except OSError:
                continue  # it is gone by now, or not readable
            if twin := by_hash.get(digest):
                kept[state.path] = msgspec.structs.replace(twin, state=state, hashed_ns=hashed_ns)
            else:
                states = (*(new[digest].states if digest in new else ()), state)
                new[digest] = NewDocument(digest, states, hashed_ns)
        gone = {each.file_id for each in self._documents.values()} - {each.file_id for each in kept.values()}
        self._documents = kept
        return FolderChanges(list(new.values()), sorted(gone))

    def add(self, document: NewDocument, file_id: str) -> None:
        """Record that the server has a document."""
        for state in document.states:
            self._documents[state.path] = _Document(state, document.hashed_ns, document.sha256, file_id)

    def set_faults(self, faults: Mapping[str, str]) -> None:
        """Record why documents cannot be searched, by the ids of their files."""
        self._documents = {
            path: msgspec.structs.replace(each, fault=faults.get(each.file_id, ""))
            for path, each in self._documents.items()
        }

    def path_of(self, file_id: str) -> str | None:
        """Return where a file is in the folder."""
        return next((path for path, each in self._documents.items() if each.file_id == file_id), None)

    def save(self) -> None:
        """Write this to its file."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = _Content(_VERSION, str(self.folder), self.store_id, list(self._documents.values()))
        atomic.write_file(self._file, msgspec.msgpack.encode(content), is_durable=False)

    def _read(self) -> None:
        try:
            content = msgspec.msgpack.decode(self._file.read_bytes(), type=_Content)
        except (OSError, msgspec.DecodeError):  # what cannot be read is made again
            return
        if content.version == _VERSION:
            self.store_id = content.store_id
            self._documents = {each.state.path: each for each in content.documents}
