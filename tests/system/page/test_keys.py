"""The view of keys: created with limits, used, changed, rotated and revoked; and what their owners see."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.page.conftest import ADMIN_KEY, Visiting
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess, running

MODEL = "smollm2-135m"
PHONE = (390, 844)
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture(scope="module")
def stored(browser: Any, tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with an admin key, whose keys are all made by these tests."""
    assert browser
    assert smollm2.exists()
    folder = tmp_path_factory.mktemp("stored")
    with running(folder / "log", "--model", MODEL, ADMIN_KEY=ADMIN_KEY, PROMPTS="off") as started:
        yield started


def create(server: ServerProcess, name: str, **fields: object) -> Any:
    """Create a key over HTTP."""
    answer = server.call("POST", "/admin/v1/keys", {"name": name, **fields}, ADMIN)
    assert answer.status == 200, answer.body
    return answer.json()


def open_keys(visit: Visiting, server: ServerProcess, **options: Any) -> Visit:
    """Open the view as an administrator."""
    seen = visit(server, **options)
    seen.sign_in_with(admin_key=ADMIN_KEY, address="#/keys")
    seen.find("heading", "Keys").wait_for()
    return seen


def open_menu(seen: Visit, name: str, item: str) -> None:
    """Choose from the menu of a key."""
    seen.find("button", f"More about {name}").click()
    seen.find("menuitem", item).click()


def complete(server: ServerProcess, secret: str, max_tokens: int = 20) -> int:
    """Ask for a completion with a key; return the status."""
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": max_tokens, "min_tokens": max_tokens}
    return server.call("POST", "/v1/completions", body, {"Authorization": f"Bearer {secret}"}).status


def test_a_key_is_created_bites_and_dies(stored: ServerProcess, visit: Visiting) -> None:
    """A key with a daily limit is refused in the chat beyond it, in the server's words, and dies when it is revoked."""
    admin = open_keys(visit, stored)
    admin.find("button", "Create a key").click()
    dialog = admin.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("reader")
    dialog.get_by_label("Only these").check()
    dialog.get_by_label(MODEL).check()
    dialog.get_by_label("Tokens per day").fill("60")
    dialog.get_by_role("button", name="Create a key").click()
    secret = dialog.locator(".secret").inner_text()
    assert secret.startswith("sk-")
    admin.page.keyboard.press("Escape")
    assert dialog.locator(".secret").is_visible()
    dialog.get_by_role("button", name="Done").click()
    row = admin.find("listitem", "reader")
    row.get_by_text("0 of 60 tokens").wait_for()
    assert MODEL in row.inner_text()
    owner = visit(stored)
    owner.sign_in_with(key=secret, address="#/chat")
    owner.find("textbox", "Write a message").wait_for()
    owner.ask("Tell me a story.")
    owner.page.locator(".message-foot").first.wait_for()
    owner.ask("And then?")
    owner.page.get_by_role("alert").get_by_text("tokens").wait_for()
    open_menu(admin, "reader", "Revoke")
    dialog.get_by_role("button", name="Revoke").click()
    row.wait_for(state="detached")
    assert complete(stored, secret) == 401
    owner.page.reload()
    owner.page.get_by_text("The server does not accept this key.").wait_for()


def test_limits_are_changed(stored: ServerProcess, visit: Visiting) -> None:
    """The form of a key shows its limits; those that are changed or emptied hold at once, the others stay."""
    key = create(stored, "changed", limits={"requests_per_minute": 2, "tokens_per_day": 10_000})
    seen = open_keys(visit, stored)
    seen.find("button", "Edit changed").click()
    dialog = seen.page.get_by_role("dialog")
    assert dialog.get_by_label("Tokens per day").input_value() == "10000"
    dialog.get_by_label("Requests per minute").fill("")
    dialog.get_by_label("Tokens per month").fill("50000")
    dialog.get_by_label("Storage in GB").fill("1.5")
    dialog.get_by_label("Expires").select_option("30")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")
    found = stored.call("GET", f"/admin/v1/keys/{key['id']}", headers=ADMIN).json()
    assert found["limits"] == {
        "requests_per_minute": None,
        "tokens_per_minute": None,
        "tokens_per_day": 10_000,
        "tokens_per_month": 50_000,
        "concurrent_requests": None,
        "storage_bytes": 1_500_000_000,
    }
    assert abs(found["expires_at"] - time.time() - 30 * 86_400) < 60


def test_an_error_of_the_form_is_the_servers(stored: ServerProcess, visit: Visiting) -> None:
    """What the server refuses, such as an unknown limit, stays in the form with the server's words."""
    seen = open_keys(visit, stored)
    seen.find("button", "Create a key").click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("x" * 500)
    dialog.get_by_role("button", name="Create a key").click()
    dialog.get_by_role("alert").wait_for()
    assert "name" in dialog.get_by_role("alert").inner_text()
    assert dialog.get_by_label("Name").input_value() == "x" * 500


def test_a_secret_is_replaced(stored: ServerProcess, visit: Visiting) -> None:
    """A new secret is shown once after a question, and the old one is refused."""
    key = create(stored, "rotated")
    seen = open_keys(visit, stored)
    open_menu(seen, "rotated", "New secret")
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_role("button", name="New secret").click()
    secret = dialog.locator(".secret").inner_text()
    dialog.get_by_role("button", name="Copy").click()
    dialog.get_by_text("Copied").wait_for()
    assert secret != key["secret"]
    assert complete(stored, key["secret"]) == 401
    assert complete(stored, secret, 1) == 200


def test_owners_see_what_is_left(stored: ServerProcess, visit: Visiting) -> None:
    """The start view of who has a key shows its limits, what is left of them, and the models."""
    key = create(stored, "pupil", models=[MODEL], limits={"tokens_per_day": 1000, "requests_per_minute": 30})
    assert complete(stored, key["secret"]) == 200
    used = stored.call("GET", "/admin/v1/self", headers={"Authorization": f"Bearer {key['secret']}"}).json()["key"]
    left = 1000 - used["tokens_used"]["day"]
    seen = visit(stored)
    seen.sign_in_with(key=key["secret"])
    seen.find("heading", "Your key: pupil").wait_for()
    seen.page.get_by_text(f"{left} of 1,000 left").wait_for()
    seen.page.get_by_text(f"Models: {MODEL}").wait_for()
    assert seen.page.get_by_role("link", name="Keys").count() == 0
    seen.page.get_by_role("link", name="Why is the sky blue?").click()
    seen.find("textbox", "Write a message").wait_for()
    assert seen.find("textbox", "Write a message").input_value() == "Why is the sky blue?"


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_200_keys_are_listed_quickly(stored: ServerProcess, visit: Visiting, color_scheme: str) -> None:
    """200 keys are there within three seconds, can be searched, fit a phone with long names, and are accessible."""
    listed = stored.call("GET", "/admin/v1/keys", headers=ADMIN).json()["data"]
    for number in range(len([each for each in listed if each["status"] == "active"]), 200):
        create(stored, f"key-{number:03} " + "long" * 10, project="p" * 40, limits={"tokens_per_day": 1000})
    seen = open_keys(visit, stored, size=PHONE, color_scheme=color_scheme)
    began = time.monotonic()
    seen.page.reload()
    seen.page.locator("li.key-row").nth(199).wait_for(state="attached")
    assert time.monotonic() - began < 3
    assert not seen.is_sideways()
    seen.page.get_by_label("Search keys").fill("key-15")
    seen.page.locator("li.key-row").nth(10).wait_for(state="detached")
    assert seen.page.locator("li.key-row").count() == 10
    assert seen.accessibility_faults() == []
    seen.find("button", "Create a key").click()
    seen.page.get_by_label("Only these").check()
    assert seen.accessibility_faults() == []
