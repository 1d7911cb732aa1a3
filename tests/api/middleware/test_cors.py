"""Web pages of other origins: refused unless they are listed."""

from collections.abc import Mapping

import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import services

PAGE = "https://app.example"
KEY = "sk-a-long-enough-key"
KEYED = AccessPolicy.from_keys((KEY,))
LISTED = AccessPolicy.from_keys((KEY,), (PAGE,))


def asking(origin: str, method: str = "POST") -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type",
    }


async def ask(access: AccessPolicy, method: str, headers: Mapping[str, str]) -> AsgiResponse:
    return await call(build_application(services(access=access)), method, "/v1/models", headers=headers)


async def test_cors_is_off_by_default() -> None:
    """With keys and without listed origins no response has a CORS header, and a preflight is an invalid method."""
    for origin in ("http://localhost:3000", PAGE):
        said = await ask(KEYED, "GET", {"origin": origin})
        assert "access-control-allow-origin" not in said.headers
        assert (await ask(KEYED, "OPTIONS", asking(origin))).status == 401
        said = await ask(KEYED, "OPTIONS", {**asking(origin), "authorization": f"Bearer {KEY}"})
        assert (said.status, said.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:5173", "http://tauri.localhost"])
@pytest.mark.parametrize("origins", [(), (PAGE,)])
async def test_without_keys_this_machines_pages_may_ask_and_read(origin: str, origins: tuple[str, ...]) -> None:
    """The preflight of an allowed page is answered, and it can read the response; listed origins keep theirs."""
    access = AccessPolicy.from_keys(origins=origins)
    said = await ask(access, "OPTIONS", {**asking(origin), "access-control-request-private-network": "true"})
    assert said.status == 200
    assert said.headers["access-control-allow-origin"] == origin
    assert said.headers["access-control-allow-private-network"] == "true"
    assert "origin" in said.headers["vary"].lower()
    said = await ask(access, "GET", {"origin": origin})
    assert (said.status, said.headers["access-control-allow-origin"]) == (200, origin)
    readable = said.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-homeport-messages", "x-homeport-limited-by"} <= set(readable)


async def test_a_preflight_is_refused_where_the_request_would_be() -> None:
    """Without keys, pages of other hosts and other host names have no access."""
    for given in (asking("https://evil.example"), {**asking("http://localhost:3000"), "host": "evil.example"}):
        said = await ask(AccessPolicy(), "OPTIONS", given)
        assert said.status == 403
        assert "access-control-allow-origin" not in said.headers


@pytest.mark.parametrize("path", ["/admin/v1/keys", "/v1/organization/usage/completions"])
async def test_admin_is_never_opened_to_pages(path: str) -> None:
    """No page of this machine has access to /admin, and no listed one across networks."""
    app = build_application(services(access=AccessPolicy.from_keys(admin_keys=("an-admin-key-of-tests",))))
    said = await call(app, "OPTIONS", path, headers=asking("http://localhost:3000"))
    assert said.status in (401, 404)
    assert "access-control-allow-origin" not in said.headers
    listed = build_application(
        services(access=AccessPolicy.from_keys((KEY,), (PAGE,), admin_keys=("an-admin-key-of-tests",)))
    )
    assert (await call(listed, "OPTIONS", path, headers=asking(PAGE))).status == 200
    private = {**asking(PAGE), "access-control-request-private-network": "true"}
    said = await call(listed, "OPTIONS", path, headers=private)
    assert (said.status, said.error["code"]) == (403, "origin_not_allowed")


async def test_a_listed_page_may_ask_from_another_network() -> None:
    """Chrome's preflight for a public page that requests this machine is answered for listed origins only."""
    private = {"access-control-request-private-network": "true"}
    said = await ask(LISTED, "OPTIONS", {**asking(PAGE), **private})
    assert (said.status, said.headers["access-control-allow-private-network"]) == (200, "true")
    said = await ask(LISTED, "OPTIONS", {**asking("https://evil.example"), **private})
    assert said.status == 403
    assert "access-control-allow-origin" not in said.headers


async def test_a_listed_page_may_ask_and_read() -> None:
    """A listed origin's preflight needs no key, and pages can read its responses, errors and request ids included."""
    said = await ask(LISTED, "OPTIONS", asking(PAGE))
    assert said.status == 200
    assert said.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in said.headers["access-control-allow-headers"].lower()
    said = await ask(LISTED, "GET", {"origin": PAGE})
    assert said.status == 401
    assert said.headers["access-control-allow-origin"] == PAGE
    assert "x-request-id" in said.headers["access-control-expose-headers"]


async def test_an_unlisted_page_is_refused_in_the_envelope() -> None:
    """An origin that is not listed gets a 403 and no access."""
    said = await ask(LISTED, "OPTIONS", asking("https://evil.example"))
    assert (said.status, said.error["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in said.headers


async def test_an_odd_method_is_refused_in_the_envelope() -> None:
    """A preflight for an unknown method is refused like any other, with an error body."""
    assert (await ask(LISTED, "OPTIONS", asking(PAGE, "BREW"))).error["type"] == "invalid_request_error"


async def test_a_listed_page_passes_without_keys() -> None:
    """Without keys a listed origin has access, an unlisted one has not."""
    access = AccessPolicy.from_keys((), (PAGE,))
    assert (await ask(access, "GET", {"origin": PAGE})).status == 200
    assert (await ask(access, "GET", {"origin": "https://evil.example"})).status == 403
