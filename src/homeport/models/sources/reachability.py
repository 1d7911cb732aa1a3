"""Checks, within a fixed time, whether a server answers at a URL. Sends no token and follows no redirect."""

import threading
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from typing import IO


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow nothing: a redirect is an answer."""


def unreachable_reason(url: str, seconds: float) -> str | None:
    """Return None if an HTTP server answers at `url` (with any status), else the reason as text.

    Takes at most `seconds`, name resolution included; the system's proxies are used.
    """
    reason: list[str | None] = []

    def probe() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the scheme is checked below
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds):
                reason.append(None)
        except urllib.error.HTTPError as answered:
            answered.close()
            reason.append(None)
        except urllib.error.URLError as error:
            reason.append(str(error.reason))
        except (OSError, HTTPException) as error:
            reason.append(str(error) or type(error).__name__)

    if not url.startswith(("http://", "https://")):
        return "not an http:// or https:// address"
    # A thread, because name resolution has no time limit; it ends by itself.
    thread = threading.Thread(target=probe, name="reach", daemon=True)
    thread.start()
    thread.join(seconds)
    return reason[0] if reason else f"no answer within {seconds:g} seconds"
