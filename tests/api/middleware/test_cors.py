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
        response = await ask(KEYED, "GET", {"origin": origin})
        assert "access-control-allow-origin" not in response.headers
        assert (await ask(KEYED, "OPTIONS", asking(origin))).status == 401
        response = await ask(KEYED, "OPTIONS", {**asking(origin), "authorization": f"Bearer {KEY}"})
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:5173", "http://tauri.localhost"])
@pytest.mark.parametrize("origins", [(), (PAGE,)])
async def test_without_keys_local_pages_have_access(origin: str, origins: tuple[str, ...]) -> None:
    """The preflight of an allowed page is answered, and it can read the response; listed origins keep theirs."""
    access = AccessPolicy.from_keys(origins=origins)
    response = await ask(access, "OPTIONS", {**asking(origin), "access-control-request-private-network": "true"})
    assert response.status == 200
    assert response.headers["access-control-allow-origin"] == origin
    assert response.headers["access-control-allow-private-network"] == "true"
    assert "origin" in response.headers["vary"].lower()
    response = await ask(access, "GET", {"origin": origin})
    assert (response.status, response.headers["access-control-allow-origin"]) == (200, origin)
    readable = response.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-homeport-messages", "x-homeport-limited-by"} <= set(readable)


async def test_a_preflight_is_refused_where_the_request_would_be() -> None:
    """Without keys, pages of other hosts and other host names have no access."""
    for given in (asking("https://evil.example"), {**asking("http://localhost:3000"), "host": "evil.example"}):
        response = await ask(AccessPolicy(), "OPTIONS", given)
        assert response.status == 403
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("path", ["/admin/v1/keys", "/v1/organization/usage/completions"])
async def test_admin_is_never_opened_to_pages(path: str) -> None:
    """No page of this machine has access to /admin, and no listed one across networks."""
    app = build_application(services(access=AccessPolicy.from_keys(admin_keys=("an-admin-key-of-tests",))))
    response = await call(app, "OPTIONS", path, headers=asking("http://localhost:3000"))
    assert response.status in (401, 404)
    assert "access-control-allow-origin" not in response.headers
    listed = build_application(
        services(access=AccessPolicy.from_keys((KEY,), (PAGE,), admin_keys=("an-admin-key-of-tests",)))
    )
    assert (await call(listed, "OPTIONS", path, headers=asking(PAGE))).status == 200
    private = {**asking(PAGE), "access-control-request-private-network": "true"}
    response = await call(listed, "OPTIONS", path, headers=private)
    assert (response.status, response.error["code"]) == (403, "origin_not_allowed")


async def test_a_listed_page_has_private_network_access() -> None:
    """Chrome's preflight for a public page that requests this machine is answered for listed origins only."""
    private = {"access-control-request-private-network": "true"}
    response = await ask(LISTED, "OPTIONS", {**asking(PAGE), **private})
    assert (response.status, response.headers["access-control-allow-private-network"]) == (200, "true")
    response = await ask(LISTED, "OPTIONS", {**asking("https://evil.example"), **private})
    assert response.status == 403
    assert "access-control-allow-origin" not in response.headers


async def test_a_listed_page_has_access() -> None:
    """A listed origin's preflight needs no key, and pages can read its responses, errors and request ids included."""
    response = await ask(LISTED, "OPTIONS", asking(PAGE))
    assert response.status == 200
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in response.headers["access-control-allow-headers"].lower()
    response = await ask(LISTED, "GET", {"origin": PAGE})
    assert response.status == 401
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "x-request-id" in response.headers["access-control-expose-headers"]


async def test_an_unlisted_page_is_refused_in_the_envelope() -> None:
    """An origin that is not listed gets a 403 and no access."""
    response = await ask(LISTED, "OPTIONS", asking("https://evil.example"))
    assert (response.status, response.error["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in response.headers


async def test_an_odd_method_is_refused_in_the_envelope() -> None:
    """A preflight for an unknown method is refused like any other, with an error body."""
    assert (await ask(LISTED, "OPTIONS", asking(PAGE, "BREW"))).error["type"] == "invalid_request_error"


async def test_a_listed_page_passes_without_keys() -> None:
    """Without keys a listed origin has access, an unlisted one has not."""
    access = AccessPolicy.from_keys((), (PAGE,))
    assert (await ask(access, "GET", {"origin": PAGE})).status == 200
    assert (await ask(access, "GET", {"origin": "https://evil.example"})).status == 403
