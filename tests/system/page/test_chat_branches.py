"""Answers that are written again, messages that are changed, and answers that fail."""

import json
import re
from pathlib import Path

import pytest

from tests.system.page.conftest import Visiting
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess, free_port, running

CHAT = "#/chat"


def answered(seen: Visit, text: str) -> None:
    """Send a message and wait until the answer to it is complete."""
    before = seen.page.locator(".message-foot").count()
    seen.ask(text)
    seen.page.locator(".message-foot").nth(before).wait_for()


def test_an_answer_is_written_again(server: ServerProcess, visit: Visiting) -> None:
    """Another answer takes the place of the first one, which can still be seen with what follows it."""
    seen = visit(server, CHAT)
    seen.answer_with("The first answer.")
    answered(seen, "Hello")
    answered(seen, "More")
    seen.page.unroute_all()
    seen.answer_with("The second answer.")
    seen.find("button", "Answer again").first.click()
    seen.page.get_by_text("The second answer.").wait_for()
    seen.page.get_by_text("2/2").wait_for()
    assert seen.page.locator(".message").count() == 2
    seen.find("button", "Previous version").click()
    seen.page.get_by_text("The first answer.").first.wait_for()
    assert seen.page.locator(".message").count() == 4
    assert seen.page.get_by_text("The second answer.").count() == 0


def test_a_changed_message_begins_a_branch(server: ServerProcess, visit: Visiting) -> None:
    """A message is changed in its place and answered by the model; the old one and its answer can be seen again."""
    seen = visit(server, CHAT)
    seen.set_in_requests(max_tokens=5, seed=1)
    answered(seen, "Say one.")
    seen.find("button", "Edit the message").click()
    seen.find("textbox", "Edit the message").fill("Say two.")
    with seen.page.expect_request("**/v1/chat/completions") as sent:
        seen.page.keyboard.press("Enter")
    assert [each["content"] for each in sent.value.post_data_json["messages"]] == ["Say two."]
    seen.page.locator(".bubble", has_text="Say two.").wait_for()
    seen.page.locator(".message-foot").wait_for()
    seen.find("button", "Previous version").click()
    seen.page.locator(".bubble", has_text="Say one.").wait_for()
    assert seen.page.locator(".bubble").count() == 1
    assert re.search(r"smollm2-135m · 5 tokens", seen.page.locator(".message-foot").inner_text())


def test_leaving_the_field_changes_nothing(server: ServerProcess, visit: Visiting) -> None:
    """Escape leaves a message as it was and gives the focus back."""
    seen = visit(server, CHAT)
    seen.answer_with("Fine.")
    answered(seen, "Hello")
    seen.find("button", "Edit the message").click()
    seen.find("textbox", "Edit the message").fill("Something else")
    seen.page.keyboard.press("Escape")
    seen.page.locator(".bubble", has_text="Hello").wait_for()
    seen.page.locator(".message-edit:focus").wait_for()


def test_history_is_sent_as_it_is(server: ServerProcess, visit: Visiting) -> None:
    """A request holds the messages of the shown branch, without an answer that failed before it began."""
    seen = visit(server, CHAT)
    seen.answer_with("Four.")
    answered(seen, "2 + 2?")
    seen.page.unroute_all()
    error = {"error": {"message": "The queue is full.", "type": "server_overloaded", "param": None, "code": None}}
    seen.page.route("**/v1/chat/completions", lambda route: route.fulfill(status=429, body=json.dumps(error)))
    answered(seen, "3 + 3?")
    seen.page.unroute_all()
    seen.answer_with("Six.")
    with seen.page.expect_request("**/v1/chat/completions") as sent:
        seen.find("button", "Try again").click()
    body = sent.value.post_data_json
    assert [(each["role"], each["content"]) for each in body["messages"]] == [
        ("user", "2 + 2?"),
        ("assistant", "Four."),
        ("user", "3 + 3?"),
    ]
    assert set(body) == {"model", "messages", "stream", "stream_options"}
    seen.page.get_by_text("Six.").wait_for()


def test_reasoning_is_folded(server: ServerProcess, visit: Visiting) -> None:
    """Reasoning stands above its answer, closed; an answer that reached its limit of length says so."""
    seen = visit(server, CHAT)
    chunks = [
        {"choices": [{"delta": {"reasoning_content": "Let me think."}}]},
        {"choices": [{"delta": {"content": "Done."}}]},
        {"choices": [{"delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"completion_tokens": 9, "prompt_tokens": 4}},
    ]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    seen.page.route("**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    answered(seen, "Think.")
    thought = seen.page.get_by_text("Let me think.")
    assert not thought.is_visible()
    seen.page.locator("summary").click()
    thought.wait_for()
    seen.page.get_by_text("cut off at its length limit").wait_for()
    assert "length" in seen.page.locator(".message-measures").get_attribute("title")


def test_an_answer_that_ends_early_is_an_error(server: ServerProcess, visit: Visiting) -> None:
    """A stream that ends without a reason keeps its text and says that it is not complete."""
    seen = visit(server, CHAT)
    body = f"data: {json.dumps({'choices': [{'delta': {'content': 'Half of'}}]})}\n\n"
    seen.page.route("**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    answered(seen, "Hello")
    assert seen.page.get_by_role("alert").inner_text() == "The answer ended before it was complete."
    seen.page.get_by_text("Half of").wait_for()


@pytest.mark.usefixtures("browser")
def test_a_server_that_dies_in_the_middle(tmp_path: Path, smollm2: Path, visit: Visiting) -> None:
    """An answer whose server is killed keeps its text beside a clear error, and works again once the server is back."""
    assert smollm2.exists()
    port = free_port()
    with running(tmp_path / "log", "--model", "smollm2-135m", port=port) as server:
        seen = visit(server, CHAT)
        seen.set_in_requests(min_tokens=2000)
        seen.ask("Tell a long story.")
        seen.page.locator(".message-assistant .markdown").wait_for()
        server.child.kill()
        seen.page.get_by_role("alert").get_by_text("The server does not answer.").wait_for()
        assert seen.page.locator(".message-assistant .markdown").inner_text()
    seen.page.unroute_all()
    with running(tmp_path / "log", "--model", "smollm2-135m", port=port):
        seen.page.get_by_text("Trying again").wait_for(state="detached")
        seen.set_in_requests(max_tokens=5)
        seen.find("button", "Try again").click()
        seen.page.get_by_text("5 tokens").wait_for()
        assert seen.page.get_by_role("alert").count() == 0


def test_the_log_follows_until_the_user_scrolls(server: ServerProcess, visit: Visiting) -> None:
    """The end stays in sight while text arrives; who scrolls up stays there, and a button leads back to the end."""
    seen = visit(server, CHAT, size=(400, 400))
    seen.set_in_requests(min_tokens=2000)
    seen.ask("Tell a long story.")
    distance = "(log => log.scrollHeight - log.scrollTop - log.clientHeight)(document.querySelector('.chat-log'))"
    height = "document.querySelector('.chat-log').scrollHeight"
    server.wait("the text is longer than the log", lambda: seen.page.evaluate(height) > 600, 30)
    assert seen.page.evaluate(distance) < 30
    seen.page.locator(".chat-log").hover()
    seen.page.mouse.wheel(0, -200)
    seen.find("button", "To the end").wait_for()
    before = seen.page.evaluate("document.querySelector('.chat-log').scrollTop")
    grown = seen.page.evaluate(height)
    server.wait("the text grows", lambda: seen.page.evaluate(height) > grown + 40, 30)
    assert abs(seen.page.evaluate("document.querySelector('.chat-log').scrollTop") - before) < 150
    seen.find("button", "To the end").click()
    seen.find("button", "To the end").wait_for(state="detached")
    seen.find("button", "Stop").click()
    seen.page.locator(".message-foot").wait_for()
    assert seen.page.evaluate(distance) < 30
