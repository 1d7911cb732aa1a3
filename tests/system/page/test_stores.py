"""Vector stores in the page, by the real embeddings model: created, filled, searched, changed, deleted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.system.page.conftest import Visiting
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess

PHONE = (390, 844)
MODEL = "multilingual-e5-small"
LEAVE = "Employees have 25 days of leave each year."
CHINESE = "图书馆周一不开放，其他日子九点开门。"
LONG_NAME = "a name of a document that is far longer than any phone is wide " * 2 + ".txt"
FILLER = "\n".join(f"Paragraph {at} of the annex names the building {at}." for at in range(30))


def write_documents(folder: Path) -> list[Path]:
    """Write a document in English, one in Chinese, one of spaces, and one of no bytes at all."""
    texts = {"leave.md": LEAVE, "library.txt": CHINESE, "blank.txt": " \n", "empty.txt": ""}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


@pytest.fixture
def client(picture_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """A client of the server with the embeddings model."""
    with openai.OpenAI(base_url=picture_server.base, api_key="test", max_retries=0) as made:
        yield made


def make_store(client: openai.OpenAI, name: str, documents: dict[str, str]) -> str:
    """Create a store with documents and return its id."""
    store = client.vector_stores.create(name=name)
    for filename, text in documents.items():
        file = client.files.create(file=(filename, text.encode()), purpose="assistants")
        client.vector_stores.files.create_and_poll(
            file.id, vector_store_id=store.id, attributes={"shelf": 3}, poll_interval_ms=50
        )
    return store.id


def search(seen: Visit, question: str) -> str:
    """Search, and return the best passage."""
    seen.page.get_by_role("searchbox").fill(question)
    with seen.page.expect_response("**/search"):
        seen.page.keyboard.press("Enter")
    best = seen.page.locator(".passage-text").first
    best.wait_for()
    return str(best.inner_text())


def test_a_store_is_created_filled_searched_and_deleted(
    picture_server: ServerProcess, client: openai.OpenAI, visit: Visiting, tmp_path: Path
) -> None:
    """Files are uploaded and indexed, those that fail say why, questions find their passages, and deleting asks."""
    seen = visit(picture_server, "#/stores")
    seen.find("button", "New store").first.click()
    seen.find("textbox", "Name").fill("Rules of the house")
    seen.page.get_by_label("Expires").select_option("30")
    seen.find("button", "Create").click()
    seen.page.get_by_text("No documents yet").wait_for()
    seen.page.locator("input[type=file]").set_input_files(write_documents(tmp_path))
    failure = seen.page.get_by_role("alert")
    failure.wait_for()
    assert "empty.txt Invalid 'file': the file is empty." in failure.inner_text()
    seen.find("listitem", "blank.txt").get_by_text("The file has no text.").wait_for()
    assert LEAVE in search(seen, "How many days of leave are there?")
    assert seen.page.locator(".passage").first.locator("mark").all_inner_texts() == ["days", "leave"]
    assert CHINESE in search(seen, "图书馆星期几关门？")
    (store,) = [each for each in client.vector_stores.list() if each.name == "Rules of the house"]
    assert (store.file_counts.completed, store.file_counts.failed) == (2, 1)
    assert store.expires_after is not None
    assert store.expires_after.days == 30
    seen.find("button", "Failed 1").click()
    seen.find("listitem", "leave.md").wait_for(state="detached")
    seen.find("button", "More for Rules of the house").click()
    seen.find("menuitem", "Delete").click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    seen.page.wait_for_url("**/#/stores")
    seen.find("listitem", "Rules of the house").wait_for(state="detached")
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.retrieve(store.id)


def drop(seen: Visit, names: list[str]) -> None:
    """Drop text files on the store."""
    script = """names => {
        const data = new DataTransfer();
        for (const name of names) data.items.add(new File([`This is ${name}.`], name));
        return data;
    }"""
    data = seen.page.evaluate_handle(script, names)
    seen.page.locator(".file-drop").dispatch_event("drop", {"dataTransfer": data})


def test_an_upload_goes_on_in_other_views_and_can_be_stopped(
    picture_server: ServerProcess, client: openai.OpenAI, visit: Visiting
) -> None:
    """Dropped files are uploaded while another view is shown; after a stop, what has arrived is kept."""
    store = make_store(client, "Uploads", {})
    seen = visit(picture_server, f"#/stores/{store}")
    held: list[Any] = []
    seen.page.route("**/v1/files", lambda route: held.append(route))
    seen.page.locator(".file-drop").wait_for()
    drop(seen, ["first.md", "second.md", "third.md"])
    seen.page.get_by_text("Uploading: 1 of 3").wait_for()
    seen.page.get_by_role("navigation").get_by_role("link", name="Chat").click()
    held[0].continue_()
    seen.page.go_back()
    seen.page.get_by_text("Uploading: 2 of 3").wait_for()
    seen.find("button", "Stop").click()
    seen.find("listitem", "first.md").wait_for()
    seen.find("button", "Stop").wait_for(state="detached")
    assert client.vector_stores.retrieve(store).file_counts.total == 1
    client.vector_stores.delete(store)


def test_a_store_is_renamed_and_expires_no_more(
    picture_server: ServerProcess, client: openai.OpenAI, visit: Visiting
) -> None:
    """The list renames a store; its expiry of 12 days, which another program chose, is shown and can be removed."""
    made = client.vector_stores.create(name="Old name", expires_after={"anchor": "last_active_at", "days": 12})
    seen = visit(picture_server, "#/stores")
    seen.find("button", "More for Old name").click()
    seen.find("menuitem", "Rename, expiry").click()
    assert seen.page.get_by_label("Expires").input_value() == "12"
    seen.page.get_by_label("Expires").select_option("")
    seen.find("textbox", "Name").fill("New name")
    seen.find("button", "Save").click()
    seen.find("link", "New name").wait_for()
    store = client.vector_stores.retrieve(made.id)
    assert (store.name, store.expires_at) == ("New name", None)
    client.vector_stores.delete(made.id)


def test_a_document_is_removed_alone_or_with_its_file(
    picture_server: ServerProcess, client: openai.OpenAI, visit: Visiting
) -> None:
    """Removing a document keeps its file unless it is chosen to delete it, too; the attributes are shown."""
    store = make_store(client, "Two documents", {"kept.txt": LEAVE, "gone.txt": CHINESE})
    ids = {client.files.retrieve(file.id).filename: file.id for file in client.vector_stores.files.list(store)}
    seen = visit(picture_server, f"#/stores/{store}")
    seen.find("listitem", "kept.txt").get_by_text("shelf: 3").wait_for()
    seen.find("button", "Remove kept.txt").click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    seen.find("listitem", "kept.txt").wait_for(state="detached")
    seen.find("button", "Remove gone.txt").click()
    seen.page.get_by_role("dialog").get_by_role("checkbox").check()
    seen.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    seen.page.get_by_text("No documents yet").wait_for()
    assert client.files.retrieve(ids["kept.txt"]).filename == "kept.txt"
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(ids["gone.txt"])
    client.vector_stores.delete(store)


def test_a_long_passage_begins_with_the_words_that_were_found(
    picture_server: ServerProcess, client: openai.OpenAI, visit: Visiting
) -> None:
    """A long passage shows the part with the words of the query first, and all of it on demand."""
    store = make_store(client, "Long", {"long.txt": f"{FILLER}\nThe lighthouse was built in 1871.\nThe end."})
    seen = visit(picture_server, f"#/stores/{store}")
    part = search(seen, "When was the lighthouse built?")
    assert part.startswith("… ")
    assert "lighthouse was built in 1871" in part
    seen.find("button", "Show the whole passage").first.click()
    assert len(seen.page.locator(".passage-text").first.inner_text()) > len(part)
    client.vector_stores.delete(store)


def test_an_unknown_store_is_an_error_with_a_way_back(picture_server: ServerProcess, visit: Visiting) -> None:
    """The page of a store that does not exist shows the server's words and links to the list."""
    seen = visit(picture_server, "#/stores/vs_nowhere")
    seen.page.get_by_role("alert").get_by_text("vs_nowhere").wait_for()
    seen.find("link", "All stores").click()
    seen.find("button", "New store").first.wait_for()


def test_without_a_model_the_page_says_what_to_pull(picture_server: ServerProcess, visit: Visiting) -> None:
    """Where no embeddings model is installed, nothing can be created, and the command that pulls one is shown."""
    seen = visit(picture_server)
    seen.page.route("**/v1/models", lambda route: route.fulfill(json={"object": "list", "data": []}))
    seen.page.evaluate("location.hash = '#/stores'")
    seen.page.get_by_text(f"homeport pull {MODEL}").wait_for()
    assert not seen.find("button", "New store").count()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_view_is_accessible_and_fits_a_phone(
    picture_server: ServerProcess, client: openai.OpenAI, visit: Visiting, theme: str
) -> None:
    """In Chinese on a phone, nothing is wider than the screen, also with long names, and axe-core finds nothing."""
    store = make_store(client, "很长的名字" * 20, {LONG_NAME: CHINESE, "blank.txt": " "})
    seen = visit(picture_server, "#/stores", locale="zh-CN", color_scheme=theme, size=PHONE)
    seen.page.locator(".store-row").first.wait_for()
    assert not seen.is_sideways()
    assert not seen.accessibility_faults()
    seen.page.locator(f"a[href='#/stores/{store}']").click()
    assert CHINESE in search(seen, "图书馆星期几关门？")
    seen.page.locator(".stores-reason").wait_for()
    assert not seen.is_sideways()
    assert not seen.accessibility_faults()
    seen.page.locator(".row-actions button").first.click()
    seen.page.get_by_role("dialog").get_by_role("checkbox").wait_for()
    assert not seen.accessibility_faults()
    client.vector_stores.delete(store)
