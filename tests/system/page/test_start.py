"""The start view: what to try first, and what is said where something is missing."""

import json
from typing import Any

from tests.system.page.conftest import ADMIN_KEY, KEY, Visiting
from tests.system.server import ServerProcess

NO_MODELS = json.dumps({"object": "list", "data": []})


def without_models(seen: Any) -> None:
    """Have the server list no model."""
    seen.page.route("http://*/v1/models", lambda route: route.fulfill(body=NO_MODELS, content_type="application/json"))


def test_a_question_is_one_click_from_the_chat(server: ServerProcess, visit: Visiting) -> None:
    """A proposed question is in the chat's field, once, and is answered."""
    seen = visit(server)
    seen.page.get_by_role("link", name="Why is the sky blue?").click()
    field = seen.find("textbox", "Write a message")
    field.wait_for()
    assert field.input_value() == "Why is the sky blue?"
    seen.set_in_requests(max_tokens=8)
    seen.page.keyboard.press("Enter")
    seen.page.locator(".message-foot").wait_for()
    seen.page.get_by_role("navigation").get_by_role("link", name="Start").click()
    seen.find("heading", "Welcome").wait_for()
    seen.open_chat()
    assert field.input_value() == ""


def test_a_keyless_server_says_how_to_manage_it(server: ServerProcess, visit: Visiting) -> None:
    """Without a key the view names the command that opens the administration, and the address for programs."""
    seen = visit(server)
    seen.find("heading", "Manage this server").wait_for()
    seen.page.get_by_text("homeport open", exact=True).wait_for()
    seen.page.get_by_text(f"OPENAI_BASE_URL=http://127.0.0.1:{server.port}/v1").wait_for()
    assert seen.page.get_by_role("link", name="Keys").count() == 0


def test_without_a_model_it_says_how_to_get_one(
    server: ServerProcess, keyed_server: ServerProcess, visit: Visiting
) -> None:
    """Where no model can chat, callers see the command that pulls one, and administrators the way to the catalogue."""
    seen = visit(server)
    without_models(seen)
    seen.page.reload()
    seen.page.get_by_text("homeport pull").wait_for()
    admin = visit(keyed_server)
    without_models(admin)
    admin.sign_in_with(key=KEY, admin_key=ADMIN_KEY)
    admin.page.get_by_role("link", name="Choose a model").click()
    admin.page.get_by_role("tab", name="Catalogue", selected=True).wait_for()


def test_the_form_can_be_read_in_chinese(keyed_server: ServerProcess, visit: Visiting) -> None:
    """Who is not signed in can change the language of the form."""
    seen = visit(keyed_server)
    seen.find("button", "Language").click()
    seen.find("menuitemradio", "中文").click()
    seen.find("heading", "登录").wait_for()
