"""Who has access."""

import pytest
from starlette.types import Receive, Scope, Send

from homeport.api.access_policy import AccessPolicy, Scraping
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
async def test_a_known_key_gives_access(bearer: str) -> None:
    """Each of the configured keys gives access, in any spelling of the scheme."""
    assert (await models(KEYED, authorization=bearer)).status == 200


@pytest.mark.parametrize("given", [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": KEY}])
async def test_a_missing_key_is_a_401(given: dict[str, str]) -> None:
    """Without a key the response is OpenAI's 401, which says how to send one."""
    response = await models(KEYED, **given)
    assert response.status == 401
    assert response.error["message"].startswith("You didn't provide an API key.")
    assert response.error["code"] == "invalid_api_key"
    assert response.headers["x-should-retry"] == "false"


async def test_a_wrong_key_is_shown_masked() -> None:
    """A wrong key is a 401 in OpenAI's words, which never repeats it completely."""
    response = await models(KEYED, authorization="Bearer sk-wrong-key-of-mine")
    assert response.status == 401
    assert response.error["message"].startswith("Incorrect API key provided: sk-wr***ne.")
    assert b"sk-wrong-key-of-mine" not in response.body


async def test_odd_bytes_are_a_wrong_key() -> None:
    """A key with bytes outside ASCII is refused like any other wrong key."""
    assert (await models(KEYED, authorization="Bearer ké\xff-long-enough")).status == 401


async def test_unknown_paths_need_the_key_too() -> None:
    """Without a key the response does not reveal which paths exist."""
    assert (await models(KEYED, "/v1/nowhere")).status == 401


@pytest.mark.parametrize("path", ["/", "/health", "/health/live", "/health/ready"])
async def test_health_is_open(path: str) -> None:
    """Health checks need no key, from any address and under any host name."""
    assert (await models(KEYED, path, client="192.0.2.7", host="gateway.example")).status == 200


async def test_keys_open_any_host_name() -> None:
    """With keys the server can be used under any name and from any page."""
    given = {"authorization": f"Bearer {KEY}", "host": "gateway.example", "origin": "https://gateway.example"}
    assert (await models(KEYED, **given)).status == 200


@pytest.mark.parametrize("bearer", [{}, {"authorization": "Bearer anything"}, {"authorization": "Basic eDp5"}])
async def test_a_keyless_server_accepts_any_key(bearer: dict[str, str]) -> None:
    """Without keys any or no key is accepted, because clients always send one."""
    assert (await models(AccessPolicy(), **bearer)).status == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "localhost.:1", "127.0.0.1:8080", "127.8.9.1", "[::1]", "[::1]:8080"]
)
async def test_keyless_answers_to_loopback_names(host: str) -> None:
    """Every name of this machine's loopback is accepted, with or without a port."""
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
    """A name that DNS rebinds to this machine is a 403, on every path."""
    response = await models(AccessPolicy(), path, host=host)
    assert (response.status, response.error["code"]) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "http://localhost.evil.example", "http://x@localhost"]
)
async def test_keyless_refuses_foreign_pages(origin: str) -> None:
    """A web page of another origin has no access to the server of its visitor."""
    response = await models(AccessPolicy(), origin=origin)
    assert (response.status, response.error["code"]) == (403, "origin_not_allowed")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:8080"])
async def test_keyless_serves_this_machines_pages(origin: str) -> None:
    """Pages of this machine have access."""
    assert (await models(AccessPolicy(), origin=origin)).status == 200


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0:8080", "[::]:8080", "app.localhost", "tauri.localhost:8080", "A.B.Localhost.", "[::ffff:127.0.0.1]:8080"],
)
async def test_a_keyless_server_accepts_every_name_of_this_machine(host: str) -> None:
    """Names that cannot belong to another machine have access except to /admin, which requires loopback."""
    assert (await models(AccessPolicy(), host=host)).status == 200
    response = await models(AccessPolicy(), "/v1/organization/usage/completions", host=host)
    assert (response.status, response.error["code"]) == (403, "host_not_allowed")
    assert (await models(AccessPolicy(), "/admin/v1/keys", host=host)).status == 403


@pytest.mark.parametrize("origin", ["http://tauri.localhost", "tauri://localhost", "http://0.0.0.0:3000"])
async def test_keyless_serves_desktop_shells(origin: str) -> None:
    """A desktop application's page has access, even if the browser considers it another site, but not to /admin."""
    assert (await models(AccessPolicy(), origin=origin, sec_fetch_site="cross-site")).status == 200
    if origin != "tauri://localhost":
        assert (await models(AccessPolicy(), "/admin/v1/keys", origin=origin)).status == 403


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "0.0.0.0:8080", "app.localhost", "[::1]"])
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/metrics", "/admin/v1/keys"])
async def test_foreign_pages_are_refused_whatever_the_host(host: str, path: str) -> None:
    """A foreign origin, or a cross-site request without an origin, is a 403 under every host name."""
    foreign: list[dict[str, str]] = [
        {"origin": "https://evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"origin": "https://evil.example", "sec_fetch_site": "same-origin"},
    ]
    for given in foreign:
        assert (await models(AccessPolicy(), path, host=host, **given)).status == 403


async def test_pictures_and_the_bare_address_may_be_linked_to() -> None:
    """An image's name is its key, so any page may show it; the root reveals nothing and may be linked."""
    assert (await models(AccessPolicy(), "/images/0.png", sec_fetch_site="cross-site")).status == 404
    assert (await models(AccessPolicy(), "/", sec_fetch_site="cross-site")).status == 200
    assert (await models(AccessPolicy.from_keys(origins=("*",)), sec_fetch_site="cross-site")).status == 200


async def test_metrics_need_a_key_from_afar() -> None:
    """Metrics are available to this machine only: not to other clients, through a proxy, or to web pages."""
    assert (await models(KEYED, "/metrics")).status == 200
    assert (await models(KEYED, "/metrics", client="192.0.2.7")).status == 401
    assert (await models(KEYED, "/metrics", host="gateway.example")).status == 401
    assert (await models(KEYED, "/metrics", origin="https://evil.example")).status == 401
    given = {"authorization": f"Bearer {KEY}"}
    assert (await models(KEYED, "/metrics", client="192.0.2.7", **given)).status == 200


async def test_metrics_need_a_key_where_the_client_is_unknown() -> None:
    """Behind a Unix socket the address of a client is unknown, so it needs a key."""
    assert (await call(build_application(services(access=KEYED)), "GET", "/metrics", client=None)).status == 401


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-forwarded-host", "forwarded", "via", "x-real-ip"])
async def test_metrics_need_a_key_through_a_proxy(name: str) -> None:
    """A proxy on this machine forwards for others: if its requests show that, they need a key."""
    app = build_application(services(access=KEYED))
    assert (await call(app, "GET", "/metrics", headers={name: "192.0.2.7"})).status == 401

    async def old(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "http_version": "1.0"}, receive, send)

    assert (await call(old, "GET", "/metrics")).status == 401


async def test_metrics_have_a_key_of_their_own() -> None:
    """The metrics key gives access to /metrics only, and only it and our own tools do."""
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
    """With `key` everybody needs one, this machine included; with `off` the path does not exist."""
    given = {"authorization": f"Bearer {KEY}"}
    by_key = AccessPolicy.from_keys((KEY,), scraping=Scraping.of("key", None))
    assert (await models(by_key, "/metrics")).status == 401
    assert (await models(by_key, "/metrics", **given)).status == 200
    assert (await models(AccessPolicy.from_keys(scraping=Scraping.of("key", None)), "/metrics")).status == 401
    for key in (None, SCRAPER):
        response = await models(AccessPolicy.from_keys((KEY,), scraping=Scraping.of("off", key)), "/metrics", **given)
        assert (response.status, response.error["message"]) == (404, "Invalid URL (GET /metrics)")


def test_keys_are_not_kept() -> None:
    """The policy has digests: neither its fields nor its repr reveal a key."""
    assert KEY not in repr(KEYED)
    assert SCRAPER not in repr(AccessPolicy.from_keys(scraping=Scraping.of("key", SCRAPER)))
