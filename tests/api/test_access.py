"""Who is let in."""

import pytest
from starlette.types import Receive, Scope, Send

from homeport.api.access import (
    AccessPolicy,
    Scraping,
)
from homeport.api.application import build_application
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import services

KEY = "sk-one-very-long-key"
SCRAPER = "a-key-for-metrics-alone"
KEYED = AccessPolicy.from_keys(("sk-another-long-key", KEY))


async def models(
    access: AccessPolicy, path: str = "/v1/models", client: str = "127.0.0.1", **headers: str
) -> AsgiResponse:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await call(build_application(services(access=access)), "GET", path, headers=given, client=(client, 5000))


@pytest.mark.parametrize("bearer", [f"Bearer {KEY}", f"bearer  {KEY} ", "Bearer sk-another-long-key"])
async def test_a_known_key_is_let_in(bearer: str) -> None:
    """Any of the configured keys opens the door, however the scheme is spelt."""
    assert (await models(KEYED, authorization=bearer)).status == 200


@pytest.mark.parametrize("given", [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": KEY}])
async def test_no_key_is_said_to_be_missing(given: dict[str, str]) -> None:
    """Without a bearer key the answer is OpenAI's 401 and says how to give one."""
    said = await models(KEYED, **given)
    assert said.status == 401
    assert said.error["message"].startswith("You didn't provide an API key.")
    assert said.error["code"] == "invalid_api_key"
    assert said.headers["x-should-retry"] == "false"


async def test_a_wrong_key_is_shown_masked() -> None:
    """A wrong key is 401 in OpenAI's words, and never repeated whole."""
    said = await models(KEYED, authorization="Bearer sk-wrong-key-of-mine")
    assert said.status == 401
    assert said.error["message"].startswith("Incorrect API key provided: sk-wr***ne.")
    assert b"sk-wrong-key-of-mine" not in said.body


async def test_odd_bytes_are_a_wrong_key() -> None:
    """A key with bytes outside ASCII is refused like any other wrong key."""
    assert (await models(KEYED, authorization="Bearer ké\xff-long-enough")).status == 401


async def test_unknown_paths_need_the_key_too() -> None:
    """Without a key nothing is told of which paths exist."""
    assert (await models(KEYED, "/v1/nowhere")).status == 401


@pytest.mark.parametrize("path", ["/", "/health", "/health/live", "/health/ready"])
async def test_health_is_open(path: str) -> None:
    """Health needs no key, also from afar and under any host name."""
    assert (await models(KEYED, path, client="192.0.2.7", host="gateway.example")).status == 200


async def test_keys_open_any_host_name() -> None:
    """With keys set the server may be reached under any name and from any page."""
    given = {"authorization": f"Bearer {KEY}", "host": "gateway.example", "origin": "https://gateway.example"}
    assert (await models(KEYED, **given)).status == 200


@pytest.mark.parametrize("bearer", [{}, {"authorization": "Bearer anything"}, {"authorization": "Basic eDp5"}])
async def test_keyless_takes_any_bearer(bearer: dict[str, str]) -> None:
    """Without keys any or no bearer will do, for clients cannot leave it out."""
    assert (await models(AccessPolicy(), **bearer)).status == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "localhost.:1", "127.0.0.1:8080", "127.8.9.1", "[::1]", "[::1]:8080"]
)
async def test_keyless_answers_to_loopback_names(host: str) -> None:
    """Every name of this machine's loopback is fine, with or without a port."""
    assert (await models(AccessPolicy(), host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.5:8080",
        "[fe80::1]",
        "[::1",
        "localhost@evil.example",
        "evil.example@localhost",
        "10.0.0.1:8080",
        "localhost.example",
        "xlocalhost",
        "[::ffff:10.0.0.1]",
        "localhost:80@evil.example",
        "/localhost",
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/metrics"])
async def test_keyless_refuses_other_host_names(host: str, path: str) -> None:
    """A name rebound to this machine (DNS rebinding) is 403, on every path."""
    said = await models(AccessPolicy(), path, host=host)
    assert (said.status, said.error["code"]) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "http://localhost.evil.example", "http://x@localhost"]
)
async def test_keyless_refuses_foreign_pages(origin: str) -> None:
    """A web page of another origin cannot use the server of whoever looks at it."""
    said = await models(AccessPolicy(), origin=origin)
    assert (said.status, said.error["code"]) == (403, "origin_not_allowed")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:8080"])
async def test_keyless_serves_this_machines_pages(origin: str) -> None:
    """Pages served from this machine may use it."""
    assert (await models(AccessPolicy(), origin=origin)).status == 200


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0:8080", "[::]:8080", "app.localhost", "tauri.localhost:8080", "A.B.Localhost.", "[::ffff:127.0.0.1]:8080"],
)
async def test_keyless_answers_to_every_name_of_this_machine(host: str) -> None:
    """Names that cannot mean another machine are fine everywhere but at /admin, which goes by loopback alone."""
    assert (await models(AccessPolicy(), host=host)).status == 200
    said = await models(AccessPolicy(), "/v1/organization/usage/completions", host=host)
    assert (said.status, said.error["code"]) == (403, "host_not_allowed")
    assert (await models(AccessPolicy(), "/admin/v1/keys", host=host)).status == 403


@pytest.mark.parametrize("origin", ["http://tauri.localhost", "tauri://localhost", "http://0.0.0.0:3000"])
async def test_keyless_serves_desktop_shells(origin: str) -> None:
    """A desktop application's page may use the server, also where the browser calls it another site, but not /admin."""
    assert (await models(AccessPolicy(), origin=origin, sec_fetch_site="cross-site")).status == 200
    if origin != "tauri://localhost":
        assert (await models(AccessPolicy(), "/admin/v1/keys", origin=origin)).status == 403


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "0.0.0.0:8080", "app.localhost", "[::1]"])
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/metrics", "/admin/v1/keys"])
async def test_foreign_pages_are_refused_whatever_the_host(host: str, path: str) -> None:
    """A foreign origin, or a browser that says another site asks and names no origin, is 403 under every host name."""
    foreign: list[dict[str, str]] = [
        {"origin": "https://evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"origin": "https://evil.example", "sec_fetch_site": "same-origin"},
    ]
    for given in foreign:
        assert (await models(AccessPolicy(), path, host=host, **given)).status == 403


async def test_pictures_and_the_bare_address_may_be_linked_to() -> None:
    """A picture's name is its key, so any page may show it; the greeting tells nothing and may be linked to."""
    assert (await models(AccessPolicy(), "/images/0.png", sec_fetch_site="cross-site")).status == 404
    assert (await models(AccessPolicy(), "/", sec_fetch_site="cross-site")).status == 200
    assert (await models(AccessPolicy.from_keys(origins=("*",)), sec_fetch_site="cross-site")).status == 200


async def test_metrics_need_a_key_from_afar() -> None:
    """Metrics are open to this machine alone: not to other clients, not through a proxy, not to web pages."""
    assert (await models(KEYED, "/metrics")).status == 200
    assert (await models(KEYED, "/metrics", client="192.0.2.7")).status == 401
    assert (await models(KEYED, "/metrics", host="gateway.example")).status == 401
    assert (await models(KEYED, "/metrics", origin="https://evil.example")).status == 401
    given = {"authorization": f"Bearer {KEY}"}
    assert (await models(KEYED, "/metrics", client="192.0.2.7", **given)).status == 200


async def test_metrics_need_a_key_where_the_client_is_unknown() -> None:
    """Behind a Unix socket nobody knows where a client is, so it needs a key."""
    assert (await call(build_application(services(access=KEYED)), "GET", "/metrics", client=None)).status == 401


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-forwarded-host", "forwarded", "via", "x-real-ip"])
async def test_metrics_need_a_key_through_a_proxy(name: str) -> None:
    """A proxy on this machine asks for others: where its request shows that, it needs a key."""
    app = build_application(services(access=KEYED))
    assert (await call(app, "GET", "/metrics", headers={name: "192.0.2.7"})).status == 401

    async def old(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "http_version": "1.0"}, receive, send)

    assert (await call(old, "GET", "/metrics")).status == 401


async def test_metrics_have_a_key_of_their_own() -> None:
    """Where one is set, it opens /metrics and nothing else, and nothing else opens /metrics; our own tools do."""
    scraping = Scraping.of("local", SCRAPER)
    for keys in ((), (KEY,)):
        access = AccessPolicy.from_keys(keys, scraping=scraping, tool_tokens=("a-tools-own-token",))
        for key in (None, KEY, "sk-another-long-key"):
            given = {"authorization": f"Bearer {key}"} if key else {}
            assert (await models(access, "/metrics", **given)).status == 401
        for key in (SCRAPER, "a-tools-own-token"):
            given = {"authorization": f"Bearer {key}"}
            assert (await models(access, "/metrics", **given)).status == 200
    given = {"authorization": f"Bearer {SCRAPER}"}
    access = AccessPolicy.from_keys((KEY,), scraping=scraping)
    assert (await models(access, "/metrics", client="192.0.2.7", host="gateway.example", **given)).status == 200
    assert (await models(access, **given)).status == 401


async def test_metrics_can_be_closed() -> None:
    """Set to `key` nobody reads them without one, this machine neither; set to `off` they do not exist."""
    given = {"authorization": f"Bearer {KEY}"}
    by_key = AccessPolicy.from_keys((KEY,), scraping=Scraping.of("key", None))
    assert (await models(by_key, "/metrics")).status == 401
    assert (await models(by_key, "/metrics", **given)).status == 200
    assert (await models(AccessPolicy.from_keys(scraping=Scraping.of("key", None)), "/metrics")).status == 401
    for key in (None, SCRAPER):
        said = await models(AccessPolicy.from_keys((KEY,), scraping=Scraping.of("off", key)), "/metrics", **given)
        assert (said.status, said.error["message"]) == (404, "Invalid URL (GET /metrics)")


def test_keys_are_not_kept() -> None:
    """The rule holds hashes: neither its fields nor its repr give a key away."""
    assert KEY not in repr(KEYED)
    assert SCRAPER not in repr(AccessPolicy.from_keys(scraping=Scraping.of("key", SCRAPER)))
