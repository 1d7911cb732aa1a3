"""Keys, one-time links, and a server that goes away."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import home_folder
from tests.system.page.conftest import ADMIN_KEY, KEY, Visiting
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess, free_port, running


def sign_in(seen: Visit, key: str) -> None:
    """Fill in the form and send it."""
    seen.page.get_by_label("API key").fill(key)
    seen.find("button", "Sign in").click()


def link_of(server: ServerProcess) -> str:
    """Run `homeport open --print` and return the address behind the server's."""
    command = [sys.executable, "-m", "homeport", "open", "--print", "--port", str(server.port)]
    command += ["--home", str(home_folder())]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert printed.startswith(f"http://127.0.0.1:{server.port}/#/link/")
    return printed.partition(f":{server.port}/")[2]


def end_session(server: ServerProcess, seen: Visit) -> None:
    """End the session of a tab without its knowledge."""
    token = seen.page.evaluate("sessionStorage.getItem('homeport.key')")
    assert server.call("DELETE", "/page/session", headers={"Authorization": f"Bearer {token}"}).status == 204


def test_a_wrong_key_is_refused_and_forgotten(keyed_server: ServerProcess, visit: Visiting) -> None:
    """A wrong key is an error at its field and is not kept; the right one opens the page, until the tab signs out."""
    seen = visit(keyed_server)
    sign_in(seen, "wrong")
    seen.page.get_by_text("The server does not accept this key.").wait_for()
    assert seen.page.evaluate("sessionStorage.length") == 0
    sign_in(seen, KEY)
    seen.find("heading", "Welcome").wait_for()
    seen.page.reload()
    seen.find("heading", "Welcome").wait_for()
    assert seen.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    seen.page.get_by_role("button", name="Account").click()
    seen.find("menuitem", "Sign out").click()
    seen.find("heading", "Sign in").wait_for()
    assert seen.page.evaluate("sessionStorage.length") == 0


def test_an_admin_key_shows_only_the_administration(keyed_server: ServerProcess, visit: Visiting) -> None:
    """With an admin key alone, the views that need a caller's key are not shown."""
    seen = visit(keyed_server)
    seen.page.get_by_text("Administration").click()
    seen.page.get_by_label("Admin key").fill(ADMIN_KEY)
    seen.find("button", "Sign in").click()
    seen.find("heading", "Welcome").wait_for()
    assert seen.page.get_by_role("link", name="Chat").count() == 0


def test_an_admin_key_is_added(keyed_server: ServerProcess, visit: Visiting) -> None:
    """Who is signed in with a key adds the admin key; a wrong one, such as a caller's key, is refused."""
    seen = visit(keyed_server)
    sign_in(seen, KEY)
    seen.page.get_by_role("button", name="Account").click()
    seen.find("menuitem", "Administration").click()
    field = seen.page.get_by_label("Admin key")
    for key in ("wrong", KEY):
        field.fill(key)
        seen.page.keyboard.press("Enter")
        seen.page.get_by_role("dialog").get_by_text(re.compile("does not accept|not an admin key")).wait_for()
    field.fill(ADMIN_KEY)
    seen.page.keyboard.press("Enter")
    seen.page.get_by_role("button", name="Account: Administrator").wait_for()
    assert seen.page.get_by_role("dialog").count() == 0
    assert seen.page.get_by_role("navigation").get_by_role("link", name="Chat").count() == 1


def test_a_link_signs_in_once(keyed_server: ServerProcess, visit: Visiting) -> None:
    """The link of `homeport open` signs one tab in, with every right, and leaves no token in its address."""
    address = link_of(keyed_server)
    seen = visit(keyed_server, address)
    seen.find("heading", "Welcome").wait_for()
    assert seen.page.evaluate("location.hash") == "#/"
    token = seen.page.evaluate("sessionStorage.getItem('homeport.key')")
    headers = {"Authorization": f"Bearer {token}"}
    assert keyed_server.call("GET", "/admin/v1/workers", headers=headers).status == 200
    assert keyed_server.call("GET", "/v1/models", headers=headers).status == 200
    again = visit(keyed_server, address)
    again.page.get_by_text("This link has expired or was used before.").wait_for()


def test_signing_out_ends_the_session(keyed_server: ServerProcess, visit: Visiting) -> None:
    """After signing out, the session's token is of no use any more."""
    seen = visit(keyed_server, link_of(keyed_server))
    seen.find("heading", "Welcome").wait_for()
    token = seen.page.evaluate("sessionStorage.getItem('homeport.key')")
    seen.page.get_by_role("button", name="Account").click()
    seen.find("menuitem", "Sign out").click()
    seen.find("heading", "Sign in").wait_for()
    assert keyed_server.call("GET", "/v1/models", headers={"Authorization": f"Bearer {token}"}).status == 401


def test_a_session_that_ended_needs_a_key_again(keyed_server: ServerProcess, visit: Visiting) -> None:
    """When the server no longer accepts the tab's key, the next request leads back to the form."""
    seen = visit(keyed_server, link_of(keyed_server))
    seen.find("heading", "Welcome").wait_for()
    end_session(keyed_server, seen)
    seen.page.get_by_role("navigation").get_by_role("link", name="Chat").click()
    seen.find("heading", "Sign in").wait_for()
    seen.page.get_by_text("The server does not accept this key.").wait_for()


@pytest.mark.parametrize("view", ["models", "monitoring", "keys"])
def test_an_administrators_session_that_ended_needs_a_key_again(
    keyed_server: ServerProcess, visit: Visiting, view: str
) -> None:
    """Where the administration no longer exists for the tab's session, the form is shown, not an error."""
    seen = visit(keyed_server, link_of(keyed_server))
    seen.find("heading", "Welcome").wait_for()
    end_session(keyed_server, seen)
    seen.page.evaluate(f"location.hash = '#/{view}'")
    seen.find("heading", "Sign in").wait_for()


def test_an_open_view_notices_that_its_session_ended(keyed_server: ServerProcess, visit: Visiting) -> None:
    """The events of an open view end with the session, and lead back to the form."""
    seen = visit(keyed_server, link_of(keyed_server))
    seen.find("heading", "Welcome").wait_for()
    seen.page.evaluate("location.hash = '#/monitoring'")
    seen.page.get_by_role("heading", name="Log").wait_for()
    end_session(keyed_server, seen)
    seen.find("heading", "Sign in").wait_for(timeout=15_000)


def test_a_key_of_other_characters_is_a_wrong_key(keyed_server: ServerProcess, visit: Visiting) -> None:
    """What no header can carry, such as a word in Chinese, is refused as a wrong key is."""
    seen = visit(keyed_server)
    sign_in(seen, "密钥")
    seen.page.get_by_text("The server does not accept this key.").wait_for()


@pytest.mark.usefixtures("browser")
def test_a_server_that_comes_back_is_found(tmp_path: Path, smollm2: Path, visit: Visiting) -> None:
    """While the server is away the page says so and keeps the conversation; it continues when the server is back."""
    assert smollm2.exists()
    port = free_port()
    with running(tmp_path / "log", "--model", "smollm2-135m", port=port) as server:
        seen = visit(server)
        seen.open_chat()
        seen.set_in_requests(max_tokens=10)
        seen.ask("Say hello.")
        seen.page.locator(".message-foot").wait_for()
    seen.ask("Are you there?")
    seen.page.get_by_text("The server does not answer. Trying again…").wait_for()
    with running(tmp_path / "log", "--model", "smollm2-135m", port=port):
        seen.page.get_by_text("Trying again").wait_for(state="detached")
        assert seen.page.locator(".message-assistant").count() == 2
        seen.ask("And now?")
        seen.page.locator(".message-assistant").nth(2).locator(".message-foot").wait_for()
