"""A tab of the browser on the page, and what happened in it that must not."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

AXE = Path(__file__).parent / "axe.min.js"
_BLOCKING = ("serious", "critical")
_NOT_FAULTS = ("Failed to load resource",)
"""What the browser itself says about an answer with an error status, or about a server that is away."""


@dataclass(frozen=True, kw_only=True)
class VisitOptions:
    """The browser's language, theme and window."""

    locale: str = "en-US"
    color_scheme: str = "light"
    size: tuple[int, int] = (1280, 800)


@dataclass
class Visit:
    """A tab. `faults`: errors of scripts, violations of the policy, requests that leave the origin, and dialogs."""

    page: Any
    faults: list[str] = field(default_factory=list)

    def find(self, role: str, name: str) -> Any:
        """Return the element of this role and exact name, as screen readers see it."""
        return self.page.get_by_role(role, name=name, exact=True)

    def sign_in_with(self, *, key: str = "", admin_key: str = "", address: str = "#/") -> None:
        """Have the tab use these keys, as if they had been typed in, and show a view."""
        for name, value in (("key", key), ("admin-key", admin_key)):
            script = "([name, value]) => value && sessionStorage.setItem(name, value)"
            self.page.evaluate(script, [f"homeport.{name}", value])
        self.page.evaluate("address => history.replaceState(null, '', address)", address)
        self.page.reload()

    def is_sideways(self) -> bool:
        """Whether the page is wider than its window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def open_chat(self) -> None:
        """Go to the chat and wait for its field."""
        self.page.get_by_role("navigation").get_by_role("link", name="Chat").click()
        self.find("textbox", "Write a message").wait_for()

    def ask(self, text: str) -> None:
        """Send a message."""
        self.find("textbox", "Write a message").fill(text)
        self.page.keyboard.press("Enter")

    def set_in_requests(self, **fields: object) -> None:
        """Set fields in the requests for answers, such as limits of their length."""
        self.page.route(
            "**/v1/chat/completions",
            lambda route: route.continue_(post_data={**route.request.post_data_json, **fields}),
        )

    def answer_with(self, *pieces: str) -> None:
        """Have the next answers of a model be this text, in pieces."""
        chunks: Sequence[Any] = [
            *({"choices": [{"delta": {"content": piece}}]} for piece in pieces),
            {"choices": [], "usage": {"completion_tokens": len(pieces)}},
        ]
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.page.route(
            "**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream")
        )

    def accessibility_faults(self) -> list[str]:
        """Return what axe-core finds that is serious or worse."""
        self.page.evaluate(AXE.read_text("utf-8"))
        found = self.page.evaluate("axe.run()")["violations"]
        return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in _BLOCKING]


def open_visit(browser: Any, url: str, options: VisitOptions) -> Visit:
    """Open a tab with a storage of its own and visit `url`."""
    width, height = options.size
    context = browser.new_context(
        locale=options.locale, color_scheme=options.color_scheme, viewport={"width": width, "height": height}
    )
    visit = Visit(context.new_page())
    origin = urlsplit(url).netloc

    def check_request(request: Any) -> None:
        if urlsplit(request.url).scheme not in ("data", "blob") and urlsplit(request.url).netloc != origin:
            visit.faults.append(f"request to {request.url}")

    def check_message(message: Any) -> None:
        if message.type == "error" and not message.text.startswith(_NOT_FAULTS):
            visit.faults.append(f"console: {message.text}")

    def refuse_dialog(dialog: Any) -> None:
        visit.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    visit.page.on("request", check_request)
    visit.page.on("console", check_message)
    visit.page.on("pageerror", lambda error: visit.faults.append(f"error: {error}"))
    visit.page.on("dialog", refuse_dialog)
    visit.page.goto(url)
    return visit
