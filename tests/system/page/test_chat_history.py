"""Conversations that the browser keeps, or does not, and their way into a file and back."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.system.page.conftest import KEY, Visiting
from tests.system.page.test_chat_branches import CHAT, answered
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess

STORED = """async () => (await indexedDB.databases()).length === 0 ? [0, 0] : new Promise((resolve) => {
  const opening = indexedDB.open("homeport.chat", 1);
  opening.onsuccess = () => {
    const database = opening.result;
    const transaction = database.transaction(["conversations", "messages"]);
    const counts = ["conversations", "messages"].map((name) => transaction.objectStore(name).count());
    transaction.oncomplete = () => { database.close(); resolve(counts.map((each) => each.result)); };
  };
})"""
"""The numbers of conversations and messages in the browser's database."""
BREAK = """() => new Promise((resolve) => {
  const opening = indexedDB.open("homeport.chat", 1);
  opening.onsuccess = () => {
    const database = opening.result;
    const store = database.transaction("messages", "readwrite").objectStore("messages");
    const message = {role: "assistant", content: {startsWith: null}};
    store.put({id: "one-2", parent: "one-1", state: "done", order: 1, conversation: "one", message});
    store.transaction.oncomplete = () => { database.close(); resolve(); };
  };
})"""
"""Replaces a message in the browser's database by one that cannot be drawn."""
MANY = 200


def entries(seen: Visit) -> Any:
    """Return the listed conversations."""
    return seen.page.locator(".history-entry a")


def choose(seen: Visit, name: str) -> None:
    """Choose from the menu of all conversations."""
    seen.find("button", "All conversations").click()
    seen.find("menuitem", name).click()


def conversation(id: str, question: str = "Hello", updated_at: int | None = None) -> dict[str, Any]:
    """Return a conversation of two messages as files have it."""
    now = updated_at or int(time.time() * 1000)
    nodes = [
        {"id": f"{id}-1", "parent": None, "message": {"role": "user", "content": question}, "state": "done"},
        {"id": f"{id}-2", "parent": f"{id}-1", "message": {"role": "assistant", "content": "Hi."}, "state": "done"},
    ]
    return {"id": id, "createdAt": now, "updatedAt": now, "title": question, "isNamed": False, "nodes": nodes}


def import_file(seen: Visit, content: object) -> None:
    """Import a file with this content."""
    text = content if isinstance(content, str) else json.dumps(content)
    file = {"name": "conversations.json", "mimeType": "application/json", "buffer": text.encode()}
    seen.page.locator("input[type=file][accept*=json]").set_input_files(file)


def export_of(*conversations: object) -> dict[str, object]:
    """Return the content of an export."""
    return {"format": "homeport.conversations", "version": 1, "conversations": list(conversations)}


def test_a_conversation_is_kept(server: ServerProcess, visit: Visiting) -> None:
    """On one's own server a conversation has an address, is listed by its first line, and outlasts a reload."""
    seen = visit(server, CHAT)
    seen.set_in_requests(max_tokens=5)
    answered(seen, "Say hello.\nIn English.")
    address = seen.page.evaluate("location.hash")
    assert address.startswith("#/chat/")
    assert entries(seen).all_inner_texts() == ["Say hello."]
    text = seen.page.locator(".message-assistant .markdown").inner_text()
    server.wait("it is kept", lambda: seen.page.evaluate(STORED) == [1, 2], 5)
    seen.page.reload()
    seen.page.locator(".message-foot", has_text="5 tokens").wait_for()
    assert seen.page.locator(".message-assistant .markdown").inner_text() == text
    seen.find("button", "New conversation").click()
    seen.find("heading", "Ask anything").wait_for()
    assert seen.page.evaluate("location.hash") == CHAT
    entries(seen).click()
    seen.page.locator(".message-foot", has_text="5 tokens").wait_for()
    assert seen.page.evaluate("location.hash") == address


def test_a_shared_key_keeps_nothing_until_that_is_chosen(keyed_server: ServerProcess, visit: Visiting) -> None:
    """With a key, conversations last as long as the tab; the switch keeps them, and turned off removes them again."""
    seen = visit(keyed_server, CHAT)
    seen.page.get_by_label("API key").fill(KEY)
    seen.find("button", "Sign in").click()
    seen.find("textbox", "Write a message").wait_for()
    seen.answer_with("Secret.")
    answered(seen, "Whisper.")
    switch = seen.find("switch", "Keep conversations in this browser")
    assert switch.get_attribute("aria-checked") == "false"
    assert seen.page.evaluate(STORED) == [0, 0]
    seen.page.reload()
    seen.find("heading", "This conversation is not here").wait_for()
    assert entries(seen).count() == 0
    seen.find("button", "New conversation").last.click()
    answered(seen, "Keep this.")
    switch.click()
    seen.page.get_by_text("On this device only").wait_for()
    keyed_server.wait("it is kept", lambda: seen.page.evaluate(STORED) == [1, 2], 5)
    seen.page.reload()
    seen.page.locator(".bubble", has_text="Keep this.").wait_for()
    switch.click()
    seen.find("button", "Stop keeping").click()
    seen.page.get_by_text("Forgotten when this tab is closed.").wait_for()
    keyed_server.wait("nothing is kept", lambda: seen.page.evaluate(STORED) == [0, 0], 5)
    assert seen.page.locator(".bubble", has_text="Keep this.").count() == 1


def test_signing_out_leaves_no_conversation(keyed_server: ServerProcess, visit: Visiting) -> None:
    """Who signs in to the same tab afterwards sees nothing of the conversations before."""
    seen = visit(keyed_server, CHAT)
    for _ in range(2):
        seen.page.get_by_label("API key").fill(KEY)
        seen.find("button", "Sign in").click()
        seen.find("textbox", "Write a message").wait_for()
        assert entries(seen).count() == 0
        assert seen.page.locator(".message").count() == 0
        seen.page.unroute_all()
        seen.answer_with("Secret.")
        answered(seen, "Whisper.")
        assert entries(seen).count() == 1
        seen.page.get_by_role("button", name="Account").click()
        seen.find("menuitem", "Sign out").click()
        seen.find("heading", "Sign in").wait_for()


def test_all_conversations_are_erased(server: ServerProcess, visit: Visiting) -> None:
    """One button, and a question, removes all conversations from the list, the page and the browser's database."""
    seen = visit(server, CHAT)
    seen.answer_with("Fine.")
    for text in ("One", "Two"):
        answered(seen, text)
        seen.find("button", "New conversation").click()
    server.wait("both are kept", lambda: seen.page.evaluate(STORED) == [2, 4], 5)
    choose(seen, "Erase all")
    seen.page.get_by_role("dialog").get_by_role("button", name="Erase all").click()
    seen.page.get_by_text("Your conversations will be listed here.").wait_for()
    server.wait("nothing is kept", lambda: seen.page.evaluate(STORED) == [0, 0], 5)


def test_a_conversation_is_renamed_and_deleted(server: ServerProcess, visit: Visiting) -> None:
    """The menu of an entry gives it another name, which stays, and deletes it after a question."""
    seen = visit(server, CHAT)
    seen.answer_with("Fine.")
    answered(seen, "Hello")
    entries(seen).hover()
    seen.find("button", "More: Hello").click()
    seen.find("menuitem", "Rename").click()
    seen.find("textbox", "Name").fill("A greeting")
    seen.page.keyboard.press("Enter")
    seen.page.locator(".history-title", has_text="A greeting").wait_for()
    answered(seen, "Again")
    server.wait("it is kept", lambda: seen.page.evaluate(STORED) == [1, 4], 5)
    seen.page.reload()
    seen.page.locator(".history-title", has_text="A greeting").wait_for()
    entries(seen).hover()
    seen.find("button", "More: A greeting").click()
    seen.find("menuitem", "Delete").click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    seen.find("heading", "Ask anything").wait_for()
    assert entries(seen).count() == 0
    assert seen.page.evaluate("location.hash") == CHAT


def test_a_file_brings_everything_back(server: ServerProcess, visit: Visiting, tmp_path: Path) -> None:
    """All conversations with their branches go into a file, which brings them back, and adds none a second time."""
    seen = visit(server, CHAT)
    seen.answer_with("The first answer.")
    answered(seen, "Hello")
    seen.page.unroute_all()
    seen.answer_with("The second answer.")
    seen.find("button", "Answer again").click()
    seen.page.get_by_text("The second answer.").wait_for()
    with seen.page.expect_download() as download:
        choose(seen, "Export all")
    file = tmp_path / "all.json"
    download.value.save_as(file)
    assert json.loads(file.read_text("utf-8"))["format"] == "homeport.conversations"
    choose(seen, "Erase all")
    seen.page.get_by_role("dialog").get_by_role("button", name="Erase all").click()
    seen.page.get_by_text("Your conversations will be listed here.").wait_for()
    import_file(seen, file.read_text("utf-8"))
    seen.page.get_by_text("1 imported").wait_for()
    seen.page.reload()
    entries(seen).click()
    seen.page.get_by_text("The second answer.").wait_for()
    seen.find("button", "Previous version").click()
    seen.page.get_by_text("The first answer.").wait_for()
    import_file(seen, file.read_text("utf-8"))
    seen.page.get_by_text("0 imported, 1 were here already").wait_for()


def of_messages(*messages: object, **fields: object) -> dict[str, object]:
    """Return a conversation of these messages, with other fields."""
    nodes = [{"id": str(i), "parent": str(i - 1) if i else None, "message": each} for i, each in enumerate(messages)]
    return {"id": "hostile", "nodes": nodes, **fields}


WRONG = {
    "no JSON": ("{", "The file is not JSON."),
    "something else": ({"messages": []}, "The file is not an export of conversations."),
    "no nodes": (export_of({"id": "a", "nodes": []}), "conversation 1 of the file is damaged."),
    "a circle": (
        export_of(
            conversation("fine"),
            {"id": "b", "nodes": [{"id": "x", "parent": "x", "message": {"role": "user", "content": ""}}]},
        ),
        "conversation 2 of the file is damaged.",
    ),
    "content that is no text": (
        export_of({"id": "b", "nodes": [{"id": "x", "parent": None, "message": {"role": "user", "content": {}}}]}),
        "conversation 1 of the file is damaged.",
    ),
    "an id twice": (export_of(conversation("same"), conversation("same")), "conversation 2 of the file is damaged."),
    **{
        f"{role} with {fields}": (
            export_of(of_messages({"role": role, **fields})),
            "conversation 1 of the file is damaged.",
        )
        for role, fields in (
            ("assistant", {"content": [{"type": "text", "text": "a"}]}),
            ("assistant", {"content": None, "refusal": {"a": 1}}),
            ("assistant", {"content": None, "audio": {"transcript": ["a"]}}),
            ("user", {"content": [{"type": "image_url"}]}),
            ("user", {"content": [{"type": "input_audio", "input_audio": {}}]}),
        )
    },
}


def test_a_wrong_file_is_refused(server: ServerProcess, visit: Visiting) -> None:
    """A file that is no export, or damaged, is refused with the reason, and nothing of it is taken."""
    seen = visit(server, CHAT)
    for content, message in WRONG.values():
        import_file(seen, content)
        seen.page.get_by_text(message).last.wait_for()
        assert entries(seen).count() == 0


def test_impossible_times_do_not_break_the_list(server: ServerProcess, visit: Visiting) -> None:
    """A conversation whose times are no times is listed as one of now, and probabilities that are none are left out."""
    seen = visit(server, CHAT)
    broken = of_messages({"role": "user", "content": "Hello"}, createdAt=1e300, updatedAt=-1e300, title="Odd")
    nodes: Any = broken["nodes"]
    nodes[0] |= {"createdAt": 1e300, "logprobs": {"content": [None, {"token": {}}]}, "measured": {"totalS": 1e308}}
    import_file(seen, export_of(broken))
    entries(seen).click()
    seen.page.locator(".bubble", has_text="Hello").wait_for()
    seen.page.reload()
    entries(seen).wait_for()
    assert seen.faults == []


def test_a_message_that_cannot_be_shown_breaks_no_other(server: ServerProcess, visit: Visiting) -> None:
    """What the browser's database has of a message may be anything: the others are shown, and the list works."""
    seen = visit(server, CHAT)
    import_file(seen, export_of(conversation("one"), conversation("two", "Other")))
    server.wait("both are kept", lambda: seen.page.evaluate(STORED) == [2, 4], 5)
    seen.page.evaluate(BREAK)
    seen.page.evaluate("location.hash = '#/chat/one'")
    seen.page.reload()
    seen.page.get_by_text("This message cannot be shown.").wait_for()
    assert seen.page.locator(".bubble").inner_text() == "Hello"
    entries(seen).filter(has_text="Other").click()
    seen.page.locator(".bubble", has_text="Other").wait_for()
    assert seen.faults
    seen.faults.clear()  # the error that this test caused


def test_many_conversations_are_listed_quickly(server: ServerProcess, visit: Visiting) -> None:
    """Of 200 conversations the first are listed at once and the others when they come into sight; all are searched."""
    seen = visit(server, CHAT)
    now = int(time.time() * 1000)
    many = [conversation(f"c{i}", f"Question {i} " + "with a long title " * 4, now - i * 10**7) for i in range(MANY)]
    import_file(seen, export_of(*many))
    seen.page.get_by_text(f"{MANY} imported").wait_for()
    server.wait("all are kept", lambda: seen.page.evaluate(STORED) == [MANY, 2 * MANY], 30)
    seen.page.reload()
    entries(seen).nth(20).wait_for(timeout=5000)
    assert entries(seen).count() < MANY
    titles = seen.page.locator(".history-title")
    assert titles.first.evaluate("(title) => title.scrollWidth > title.clientWidth")
    server.wait("the rest comes into sight", lambda: scrolled_to(seen) == MANY, 10)
    seen.find("searchbox", "Search titles").fill("question 199")
    entries(seen).nth(1).wait_for(state="detached")
    assert titles.all_inner_texts() == [many[199]["title"]] or titles.inner_text().startswith("Question 199")
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def scrolled_to(seen: Visit) -> int:
    """Scroll the list to its end; return the number of entries."""
    seen.page.locator(".history-list").evaluate("(list) => { list.scrollTop = list.scrollHeight; }")
    return int(entries(seen).count())


@pytest.mark.parametrize("size", [(390, 800), (1280, 800)], ids=["phone", "wide"])
def test_the_list_is_accessible(server: ServerProcess, visit: Visiting, size: tuple[int, int]) -> None:
    """axe-core finds nothing serious in the list beside or over a conversation with branches and an error."""
    seen = visit(server, CHAT, size=size)
    seen.answer_with("Fine.")
    answered(seen, "Hello")
    seen.page.unroute_all()
    seen.page.route("**/v1/chat/completions", lambda route: route.fulfill(status=500, body="{}"))
    seen.find("button", "Answer again").click()
    seen.page.get_by_role("alert").wait_for()
    if size[0] < 1000:
        seen.find("button", "Conversations").click()
        seen.page.get_by_role("dialog").get_by_role("link", name="Hello").wait_for()
    entries(seen).wait_for()
    assert seen.accessibility_faults() == []
