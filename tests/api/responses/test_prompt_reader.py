"""What a prompt refers to: uploaded files, and stored items."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.api.responses.item_ids import input_item_id, output_item_id, response_id_of
from homeport.api.responses.prompt_reader import MAX_FILE_BYTES
from homeport.domain.errors import NotFound
from homeport.domain.files import File
from homeport.domain.responses import Item
from tests.api.responses.calls import ResponseApp


class Files:
    """One file in memory, of the project `local`."""

    def __init__(self, size: int = 5) -> None:
        self.file = File(
            id="file-1", project="local", purpose="user_data", filename="a.txt", bytes=size, created_at=1_700_000_000
        )

    def get(self, project: str, file_id: str) -> File:
        """Return the file."""
        if (project, file_id) != ("local", "file-1"):
            raise NotFound(f"No such File object: {file_id}")
        return self.file

    def copy(self, _file: File, target: Path) -> None:
        """Copy its content."""
        target.write_bytes(b"inside")


def asking(file_id: str) -> list[dict[str, Any]]:
    """Make an input that refers to a file."""
    return [{"role": "user", "content": [{"type": "input_file", "file_id": file_id}]}]


async def test_an_uploaded_file_is_read(tmp_path: Path) -> None:
    """The text of a file that a message refers to is part of the prompt, and no copy of it remains."""
    app = ResponseApp(files=Files(), spool=tmp_path / "spool")
    await app.answer(input=asking("file-1"))
    assert "inside" in app.last_texts[0][1]
    assert not list((tmp_path / "spool").iterdir())


@pytest.mark.parametrize(("size", "file_id", "status"), [(5, "file-2", 404), (MAX_FILE_BYTES + 1, "file-1", 400)])
async def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, size: int, file_id: str, status: int) -> None:
    """A file that does not exist, or is too large, is an error, and nothing is computed."""
    app = ResponseApp(files=Files(size), spool=tmp_path)
    assert (await app.create(input=asking(file_id))).status == status
    assert not app.serving.requests


async def test_any_stored_item_is_referred_to_by_its_id() -> None:
    """Items of the input and the output of a stored response, and of a conversation, are found by their ids alone."""
    app = ResponseApp()
    first = await app.answer(input=[{"role": "user", "content": "One"}])
    app.conversations.create("local", {}, [Item("mine", '{"type":"message","role":"user","content":"Two"}')])
    [asked] = app.responses.responses[first["id"]].input
    await app.answer(
        input=[{"id": asked.id}, {"type": "item_reference", "id": "mine"}, {"id": first["output"][0]["id"]}]
    )
    texts = [text for _, text in app.last_texts]
    assert texts == ["One", "Two", first["output"][0]["content"][0]["text"]]


async def test_other_projects_items_do_not_exist() -> None:
    """A reference to an item of another project's response or conversation is the same 404 as one to none."""
    app = ResponseApp()
    first = await app.answer()
    for each in app.responses.responses.values():
        app.responses.responses[each.id] = msgspec.structs.replace(each, project="other")
    app.conversations.create("other", {}, [Item("mine", '{"type":"message","role":"user","content":"Two"}')])
    [asked] = app.responses.responses[first["id"]].input
    for item_id in (asked.id, first["output"][0]["id"], "mine", "none"):
        response = await app.create(input=[{"id": item_id}])
        assert (response.status, response.error["param"]) == (404, "input")
        assert response.error["message"].startswith(f"Item with id '{item_id}' not found.")


def test_an_items_id_names_its_response() -> None:
    """From the id of an item follows that of its response; other ids name none."""
    response_id = "resp_" + "0a" * 16
    made = {make("msg", response_id, index) for make in (input_item_id, output_item_id) for index in (3, 4)}
    assert len(made) == 4
    assert {response_id_of(each) for each in made} == {response_id}
    for other in ("msg_1", response_id, "msg_" + "0A" * 18, ""):
        assert response_id_of(other) is None
