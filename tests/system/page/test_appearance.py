"""Languages, themes, sizes of windows, and accessibility."""

import pytest

from tests.system.page.conftest import Visiting
from tests.system.server import ServerProcess

PHONE = (360, 740)


def test_the_browser_chooses_the_language(server: ServerProcess, visit: Visiting) -> None:
    """A Chinese browser sees Chinese; the switch changes to English, and the choice stays."""
    seen = visit(server, locale="zh-CN")
    seen.find("heading", "欢迎").wait_for()
    assert seen.page.evaluate("document.documentElement.lang") == "zh-CN"
    seen.find("button", "语言").click()
    seen.find("menuitemradio", "English").click()
    seen.find("heading", "Welcome").wait_for()
    seen.page.reload()
    seen.find("heading", "Welcome").wait_for()
    assert seen.page.evaluate("document.documentElement.lang") == "en"


def test_chinese_is_composed_before_it_is_sent(server: ServerProcess, visit: Visiting) -> None:
    """Enter that chooses a composed word does not send the message."""
    seen = visit(server, "#/chat", locale="zh-CN")
    area = seen.find("textbox", "输入消息")
    area.fill("你好")
    area.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    assert seen.page.locator(".message").count() == 0
    assert area.input_value() == "你好"


def test_a_phone_has_a_drawer_and_no_sideways_scrolling(server: ServerProcess, visit: Visiting) -> None:
    """On a phone's width nothing is wider than the screen, and the menu leads to the views."""
    seen = visit(server, size=PHONE)
    seen.page.get_by_role("cell", name="smollm2-135m").wait_for()
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    seen.find("button", "Menu").click()
    seen.page.get_by_role("dialog").get_by_role("link", name="Chat").click()
    seen.find("textbox", "Write a message").wait_for()
    assert seen.page.get_by_role("dialog").count() == 0
    seen.answer_with("a" * 400, "\n\n```python\n" + "b" * 300 + "\n```\n\n|x|y|\n|-|-|\n|" + "c" * 200 + "|d|\n")
    seen.ask("x" * 300)
    seen.page.locator(".message-foot").wait_for()
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.page.evaluate("(log => log.scrollWidth <= log.clientWidth)(document.querySelector('.chat-log'))")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, (1280, 800)], ids=["phone", "wide"])
def test_no_serious_fault_of_accessibility(
    server: ServerProcess, visit: Visiting, color_scheme: str, size: tuple[int, int]
) -> None:
    """axe-core finds nothing serious in the start view, the chat with an answer, and the open menu or drawer."""
    seen = visit(server, color_scheme=color_scheme, size=size)
    seen.page.get_by_role("cell", name="smollm2-135m").wait_for()
    assert seen.accessibility_faults() == []
    seen.answer_with("# Title\n\nText with `code` and a [link](https://example.org).\n\n```python\nx = 'a'  # b\n```\n")
    seen.page.goto(f"http://127.0.0.1:{server.port}/#/chat")
    seen.ask("Hello")
    seen.page.locator(".code-string").wait_for()
    assert seen.accessibility_faults() == []
    seen.find("button", "Menu" if size == PHONE else "Language").click()
    assert seen.accessibility_faults() == []


def test_the_sign_in_form_is_accessible(keyed_server: ServerProcess, visit: Visiting) -> None:
    """axe-core finds nothing serious in the form, nor beside its error."""
    seen = visit(keyed_server)
    seen.page.get_by_label("API key").fill("wrong")
    seen.find("button", "Sign in").click()
    seen.page.get_by_text("The server does not accept this key.").wait_for()
    assert seen.accessibility_faults() == []
