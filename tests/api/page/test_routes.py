"""`/` and `/page`: who gets the page, its headers and caching, sessions, and what a key may do."""

import dataclasses
import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.types import ASGIApp

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.api.page.page_files import PageFiles
from homeport.api.page.sessions import PageSessions
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import services

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGE = PageFiles()


def application(access: AccessPolicy | None = None, page: PageFiles | None = PAGE) -> ASGIApp:
    """Build an application with the page, whose sessions its access policy knows."""
    sessions = PageSessions()
    policy = dataclasses.replace(access or AccessPolicy(), is_session=sessions.is_valid)
    return build_application(services(access=policy, page=page, page_sessions=sessions, version="1.2"))


def keyed() -> ASGIApp:
    """Build an application that needs keys."""
    return application(AccessPolicy.from_keys(["key"], admin_keys=["admin"]))


def bearer(key: str) -> Mapping[str, str]:
    """Return the header that carries a key."""
    return {"authorization": f"Bearer {key}"}


async def post(app: ASGIApp, path: str, body: Any = None, **headers: str) -> AsgiResponse:
    """Send a POST with a JSON body."""
    return await call(app, "POST", path, json.dumps(body or {}).encode(), headers=headers)


async def sign_in(app: ASGIApp) -> str:
    """Return the token of a session that a link began."""
    link = (await post(app, "/admin/v1/page_links", **bearer("admin"))).json["token"]
    return str((await post(app, "/page/session", {"link": link})).json["token"])


@pytest.mark.parametrize("accept", ["text/html", "text/html;q=0.9, */*", "application/xml, TEXT/HTML"])
async def test_browsers_get_the_page(accept: str) -> None:
    """Who accepts HTML by its name gets the page, with and without keys."""
    for app in (application(), keyed()):
        response = await call(app, "GET", "/", headers={"accept": accept})
        assert (response.status, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert response.body.startswith(b"<!doctype html>")


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/html; q=0.0, application/json", "text/htmlx"])
async def test_api_clients_get_json(accept: str) -> None:
    """Everybody else gets the description of the server, and caches keep both apart."""
    response = await call(application(), "GET", "/", headers={"accept": accept} if accept else {})
    assert response.json["name"] == "homeport"
    assert response.headers["vary"] == "accept"


async def test_headers_limit_the_page() -> None:
    """The page allows no inline code, no other origin, no frame and no text that becomes HTML, and sets no cookie."""
    for path in ("/", f"/page/{PAGE.version}/js/main.js", f"/page/{PAGE.version}/styles/tokens.css"):
        response = await call(application(), "GET", path, headers=HTML)
        policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cross-origin-opener-policy"] == "same-origin"
        assert "microphone=(self)" in response.headers["permissions-policy"]
        assert "set-cookie" not in response.headers


async def test_files_are_cached_by_version() -> None:
    """A file of the current version may be cached forever, one of another version does not exist."""
    app = application()
    response = await call(app, "GET", f"/page/{PAGE.version}/js/main.js")
    assert (response.status, response.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert "immutable" in response.headers["cache-control"]
    for path in (f"/page/{'0' * 12}/js/main.js", f"/page/{PAGE.version}/js/none.js", "/page/x", "/page"):
        assert (await call(app, "GET", path)).status == 404, path


async def test_unchanged_page_is_not_sent_again() -> None:
    """The page is revalidated, and a browser that has it gets 304 without a body."""
    first = await call(application(), "GET", "/", headers=HTML)
    assert first.headers["cache-control"] == "no-cache"
    again = await call(application(), "GET", "/", headers={**HTML, "if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["content-security-policy"]


async def test_files_are_compressed_for_who_accepts_it() -> None:
    """The content is the same with gzip and without."""
    path = f"/page/{PAGE.version}/js/main.js"
    plain = await call(application(), "GET", path)
    packed = await call(application(), "GET", path, headers={"accept-encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["vary"] == "accept-encoding"
    refused = await call(application(), "GET", path, headers={"accept-encoding": "gzip;q=0, br"})
    assert "content-encoding" not in refused.headers


async def test_page_can_be_turned_off() -> None:
    """Without the page, `/` answers JSON to everybody, and its paths do not exist."""
    app = application(AccessPolicy.from_keys(admin_keys=["admin"]), page=None)
    response = await call(app, "GET", "/", headers=HTML)
    assert response.json["name"] == "homeport"
    paths = [("GET", f"/page/{PAGE.version}/js/main.js"), ("DELETE", "/page/session")]
    for method, path in [*paths, ("POST", "/page/session"), ("POST", "/admin/v1/page_links")]:
        assert (await call(app, method, path, b"{}", headers=bearer("admin"))).status == 404, path


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
async def test_keyless_page_is_for_this_machine(headers: Mapping[str, str]) -> None:
    """Without keys, the page is not for other hosts' names nor for pages of other origins."""
    for path in ("/", f"/page/{PAGE.version}/js/main.js"):
        assert (await call(application(), "GET", path, headers={**HTML, **headers})).status == 403


async def test_foreign_pages_cannot_load_its_files() -> None:
    """Without keys, a page of another site may link to `/` but not load the page's scripts."""
    headers = {**HTML, "sec-fetch-site": "cross-site"}
    assert (await call(application(), "GET", "/", headers=headers)).status == 200
    assert (await call(application(), "GET", f"/page/{PAGE.version}/js/main.js", headers=headers)).status == 403


async def test_session_has_every_right() -> None:
    """The session of a link uses models and the administration, until it is ended."""
    app = keyed()
    token = await sign_in(app)
    caller = (await call(app, "GET", "/admin/v1/self", headers=bearer(token))).json
    assert (caller["project"], caller["permissions"]) == ("local", ["call", "admin"])
    assert (await call(app, "GET", "/v1/models", headers=bearer(token))).status == 200
    assert (await call(app, "GET", "/admin/v1/workers", headers=bearer(token))).status == 200
    assert (await call(app, "DELETE", "/page/session", headers=bearer(token))).status == 204
    assert (await call(app, "GET", "/v1/models", headers=bearer(token))).status == 401
    assert (await call(app, "GET", "/admin/v1/workers", headers=bearer(token))).status == 404


async def test_links_are_for_administrators() -> None:
    """Only an admin key makes links; a link's own token opens nothing."""
    app = keyed()
    assert (await post(app, "/admin/v1/page_links", **bearer("key"))).status == 404
    link = (await post(app, "/admin/v1/page_links", **bearer("admin"))).json
    assert (link["object"], link["expires_in_s"]) == ("page.link", 120)
    assert (await call(app, "GET", "/v1/models", headers=bearer(link["token"]))).status == 401


async def test_a_session_makes_no_links() -> None:
    """A session cannot begin another one, by which it would outlast its twelve hours and its end."""
    app = keyed()
    response = await post(app, "/admin/v1/page_links", **bearer(await sign_in(app)))
    assert (response.status, response.error["code"]) == (403, "session_makes_no_links")


async def test_a_huge_body_without_a_key_is_refused() -> None:
    """What anybody may send without a key is small, so that it fills no memory."""
    response = await post(keyed(), "/page/session", {"link": "x" * 5000})
    assert (response.status, response.error["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("body", [{}, {"link": 1}, {"link": "x", "more": 1}])
async def test_bodies_of_sessions_are_checked(body: object) -> None:
    """A body without a link, or with other fields, is refused."""
    assert (await call(keyed(), "POST", "/page/session", json.dumps(body).encode())).status == 400


async def test_wrong_links_begin_nothing() -> None:
    """A link that was never made is a 401 with a code."""
    response = await post(keyed(), "/page/session", {"link": "x" * 1000})
    assert (response.status, response.error["code"]) == (401, "invalid_page_link")
    assert "x" * 201 not in response.error["message"]
