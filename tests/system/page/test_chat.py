"""A first visit, and a conversation with a model."""

import re
from typing import Any

from tests.system.page.conftest import Visiting
from tests.system.server import ServerProcess

LONG = "Tell a long story."


def test_first_visit_to_first_answer(server: ServerProcess, visit: Visiting) -> None:
    """A browser that comes first sees the models, opens the chat and gets a streamed answer with its measures."""
    seen = visit(server)
    seen.find("heading", "Welcome").wait_for()
    seen.find("row", "smollm2-135m").or_(seen.page.get_by_role("cell", name="smollm2-135m")).first.wait_for()
    seen.open_chat()
    seen.page.get_by_label("Model").select_option("smollm2-135m")
    seen.set_in_requests(max_tokens=20)
    seen.ask("Say hello.")
    seen.page.locator(".message-assistant .markdown").wait_for()
    foot = seen.page.locator(".message-foot")
    foot.wait_for()
    assert re.match(r"smollm2-135m · \d+ tokens? · [\d.]+ s", foot.inner_text())


def test_the_models_are_asked_for_while_the_chat_is_loaded(server: ServerProcess, visit: Visiting) -> None:
    """The server is asked for the models before the chat's own code has arrived, and the chat shows its answer."""
    seen = visit(server, "#/jobs")
    held: list[Any] = []
    seen.page.route("**/views/chat/chat.js", lambda route: held.append(route))
    with seen.page.expect_response("**/v1/models"):
        seen.page.get_by_role("navigation").get_by_role("link", name="Chat").click()
    assert len(held) == 1
    held[0].continue_()
    seen.find("textbox", "Write a message").wait_for()


def test_a_stopped_answer_frees_the_engine(server: ServerProcess, visit: Visiting) -> None:
    """Stopping in the middle keeps what was written, says so, and the engine computes nothing more."""
    seen = visit(server)
    seen.open_chat()
    seen.set_in_requests(min_tokens=2000)
    seen.ask(LONG)
    seen.page.locator(".message-assistant .markdown").wait_for()
    server.wait("the engine computes", lambda: not server.is_idle(), 5)
    seen.find("button", "Stop").click()
    seen.page.locator(".message-foot").wait_for()
    server.wait("the engine is free", server.is_idle, 5)
    assert "stopped" in seen.page.locator(".message-foot").inner_text()
    assert seen.page.locator(".message-assistant .markdown").inner_text()
    assert seen.page.evaluate("document.activeElement.tagName") == "TEXTAREA"


def test_a_reload_frees_the_engine(server: ServerProcess, visit: Visiting) -> None:
    """A tab that leaves in the middle of an answer frees the engine as well."""
    seen = visit(server)
    seen.open_chat()
    seen.set_in_requests(min_tokens=2000)
    seen.ask(LONG)
    seen.page.locator(".message-assistant .markdown").wait_for()
    seen.page.reload()
    server.wait("the engine is free", server.is_idle, 5)


def test_the_page_is_driven_by_keys_alone(server: ServerProcess, visit: Visiting) -> None:
    """With the keyboard alone: skip the navigation, open the chat, ask, stop, and change the theme."""
    seen = visit(server)
    seen.find("heading", "Welcome").wait_for()
    keys = seen.page.keyboard
    focused = "(document.activeElement.textContent + document.activeElement.ariaLabel).trim()"

    def move_to(name: str) -> None:
        for _ in range(25):
            keys.press("Tab")
            if name in seen.page.evaluate(focused):
                return
        raise AssertionError(f"Tab does not reach {name!r}")

    keys.press("Tab")
    assert "Skip to the content" in seen.page.evaluate(focused)
    move_to("Chat")
    keys.press("Enter")
    seen.find("textbox", "Write a message").wait_for()
    seen.page.locator("textarea:focus").wait_for()
    seen.set_in_requests(min_tokens=2000)
    keys.type(LONG)
    keys.press("Enter")
    seen.page.locator(".message-assistant .markdown").wait_for()
    keys.press("Escape")
    seen.page.locator(".message-foot").wait_for()
    seen.page.evaluate("document.activeElement.blur()")
    move_to("Appearance")
    keys.press("Enter")
    seen.page.locator("[role=menuitemradio]:focus").wait_for()
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    keys.press("Enter")
    seen.page.locator("html[data-theme=dark]").wait_for(state="attached")


def test_an_error_of_the_server_is_shown(server: ServerProcess, visit: Visiting) -> None:
    """An answer that the server refuses is an error in the conversation, in the server's words."""
    seen = visit(server)
    seen.open_chat()
    error = '{"error": {"message": "The queue is full.", "type": "server_overloaded", "param": null, "code": null}}'
    seen.page.route("**/v1/chat/completions", lambda route: route.fulfill(status=429, body=error))
    seen.ask("Hello")
    seen.page.get_by_role("alert").wait_for()
    assert seen.page.get_by_role("alert").inner_text() == "The queue is full."
