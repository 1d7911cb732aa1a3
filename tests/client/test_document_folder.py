"""Which documents of a folder a server has: what is new, moved, changed or gone between two questions."""

import os
from pathlib import Path

import pytest

from homeport.client.document_folder import DocumentFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    (made / "inside").mkdir(parents=True)
    for name in ("a.txt", "inside/b.md"):
        write(made / name, name)
    return made


def write(path: Path, content: str) -> None:
    path.write_text(content)
    os.utime(path, (1_600_000_000, 1_600_000_000))


def sync(home: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Record all new documents under ids made of their paths; return what was new and what is gone."""
    index = DocumentFolder(home, folder)
    changes = index.scan()
    for document in changes.new:
        index.add(document, f"file-{document.states[0].path}")
    index.save()
    return [document.states[0].path for document in changes.new], changes.gone


def test_only_documents_are_listed(tmp_path: Path, folder: Path) -> None:
    """Files of other types and hidden ones are left out; folders inside are searched."""
    write(folder / "picture.png", "x")
    write(folder / ".hidden.txt", "x")
    assert sync(tmp_path, folder) == (["a.txt", "inside/b.md"], [])
    assert len(DocumentFolder(tmp_path, folder)) == 2


def test_unchanged_files_are_not_read_again(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose size and time are the same is not read."""
    sync(tmp_path, folder)
    monkeypatch.setattr("homeport.client.document_folder.hash_file", lambda path: pytest.fail(f"{path} was read"))
    assert sync(tmp_path, folder) == ([], [])


def test_changes_are_found_by_content(tmp_path: Path, folder: Path) -> None:
    """A changed file is new and its old content is gone; a moved or copied one is neither."""
    sync(tmp_path, folder)
    write(folder / "a.txt", "changed")
    (folder / "inside" / "b.md").rename(folder / "c.md")
    write(folder / "d.md", "inside/b.md")
    assert sync(tmp_path, folder) == (["a.txt"], ["file-a.txt"])
    index = DocumentFolder(tmp_path, folder)
    assert index.path_of("file-inside/b.md") == "c.md"
    assert index.path_of("file-none") is None


def test_faults_are_kept_until_the_file_changes(tmp_path: Path, folder: Path) -> None:
    """A document that cannot be searched is named with the reason, and not sent again before it changes."""
    sync(tmp_path, folder)
    index = DocumentFolder(tmp_path, folder)
    index.set_faults({"file-a.txt": "It is damaged."})
    index.save()
    index = DocumentFolder(tmp_path, folder)
    assert (index.scan().new, index.faults, len(index)) == ([], [("a.txt", "It is damaged.")], 1)


def test_a_new_store_has_no_documents(tmp_path: Path, folder: Path) -> None:
    """If the server lost its store, all documents are new; so they are if what was kept cannot be read."""
    sync(tmp_path, folder)
    index = DocumentFolder(tmp_path, folder)
    index.begin("vs_new")
    assert [document.states[0].path for document in index.scan().new] == ["a.txt", "inside/b.md"]
    for file in (tmp_path / "ask").iterdir():
        file.write_bytes(b"damaged")
    assert len(DocumentFolder(tmp_path, folder).scan().new) == 2
