"""Web pages of other origins: off unless listed."""

from collections.abc import Mapping

from homeport.api.access import Access
from homeport.api.application import build
from tests.api.asgi import Said, call
from tests.api.fakes import services

PAGE = "https://app.example"
LISTED = Access.of(("sk-a-long-enough-key",), (PAGE,))


def asking(origin: str, method: str = "POST") -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type",
    }


async def ask(access: Access, method: str, headers: Mapping[str, str]) -> Said:
    return await call(build(services(access=access)), method, "/v1/models", headers=headers)


async def test_cors_is_off_by_default() -> None:
    """Without listed origins no answer carries a CORS header, and a preflight is no more than a bad method."""
    said = await ask(Access(), "GET", {"origin": "http://localhost:3000"})
    assert "access-control-allow-origin" not in said.headers
    said = await ask(Access(), "OPTIONS", asking("http://localhost:3000"))
    assert (said.status, said.headers["allow"]) == (405, "GET, HEAD")


async def test_a_listed_page_may_ask_and_read() -> None:
    """A listed origin's preflight needs no key, and its answers, errors too, can be read with their request id."""
    said = await ask(LISTED, "OPTIONS", asking(PAGE))
    assert said.status == 200
    assert said.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in said.headers["access-control-allow-headers"].lower()
    said = await ask(LISTED, "GET", {"origin": PAGE})
    assert said.status == 401
    assert said.headers["access-control-allow-origin"] == PAGE
    assert "x-request-id" in said.headers["access-control-expose-headers"]


async def test_an_unlisted_page_is_refused_in_the_envelope() -> None:
    """An origin that is not listed gets 403 and no permission."""
    said = await ask(LISTED, "OPTIONS", asking("https://evil.example"))
    assert (said.status, said.error["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in said.headers


async def test_an_odd_method_is_refused_in_the_envelope() -> None:
    """A preflight for a method nobody knows is refused like any other, in the envelope."""
    assert (await ask(LISTED, "OPTIONS", asking(PAGE, "BREW"))).error["type"] == "invalid_request_error"


async def test_a_listed_page_passes_without_keys() -> None:
    """Without keys a listed origin is let in, an unlisted one is not."""
    access = Access.of((), (PAGE,))
    assert (await ask(access, "GET", {"origin": PAGE})).status == 200
    assert (await ask(access, "GET", {"origin": "https://evil.example"})).status == 403
