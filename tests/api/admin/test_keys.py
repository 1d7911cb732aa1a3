"""Stored keys: the access that they give, their limits, and how an operator creates them."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from starlette.applications import Starlette

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.keys import Key, KeyLimits, NewKey
from homeport.domain.models import Alias
from homeport.store import migration
from homeport.store.database import Database
from homeport.store.key_cache import SqlKeyCache
from homeport.store.keys import SqlKeyRepository
from homeport.store.usage import SqlUsageRepository
from homeport.store.usage_ledger import FileUsageLedger
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, answer, installed, services, tuned

ADMIN = "the-operators-own-key"
TOOL = "a-token-of-this-users-tools"
SECRET = b"s" * 32
TUNED, OPEN = "ft:tiny:homeport:theirs:1", "ft:tiny:homeport:everybodys:2"


class KeyApp:
    """An application on a database of its own, with fake serving."""

    def __init__(self, folder: Path, serving: FakeServing | None = None) -> None:
        database = Database(f"sqlite:///{folder}/homeport.db")
        migration.prepare_database(database)
        self.repository = SqlKeyRepository(database, SECRET)
        self.key_cache = SqlKeyCache(self.repository, SECRET)
        self.key_cache.load()
        self.serving = serving or FakeServing()
        access = AccessPolicy.from_keys(admin_keys=[ADMIN], tool_tokens=[TOOL], key_cache=self.key_cache)
        self.ledger = FileUsageLedger(folder / "usage")
        usage = SqlUsageRepository(database, folder / "usage")
        self.app: Starlette = build_application(
            services(self.serving, access=access, keys=self.repository, ledger=self.ledger, usage=usage)
        )

    def key(self, name: str = "bot", models: tuple[str, ...] = (), project: str = "local", **limits: int) -> str:
        """Create a key; return its secret."""
        new_key = NewKey(name=name, project=project, models=models, limits=KeyLimits(**limits))
        secret = self.repository.create(new_key).secret
        self.key_cache.load()
        return secret

    async def ask(self, secret: str, path: str = "/v1/completions", **body: object) -> AsgiResponse:
        """Send a request with a key; without a body it is a GET."""
        headers = {"authorization": f"Bearer {secret}"}
        if not body:
            return await call(self.app, "GET", path, headers=headers)
        return await call(self.app, "POST", path, msgspec.json.encode({"model": "tiny", **body}), headers=headers)

    async def manage(self, method: str, path: str, body: object = None, key: str = ADMIN) -> AsgiResponse:
        """Send a request to `/admin/v1/keys`."""
        content = b"" if body is None else msgspec.json.encode(body)
        return await call(
            self.app, method, f"/admin/v1/keys{path}", content, headers={"authorization": f"Bearer {key}"}
        )


@pytest.fixture
def key_app(tmp_path: Path) -> Iterator[KeyApp]:
    app = KeyApp(tmp_path)
    yield app
    app.ledger.close()


async def test_the_first_key_ends_keyless_access(key_app: KeyApp) -> None:
    """Without keys callers of this machine have access; then the first key's holder, and nobody once it is revoked."""
    assert (await key_app.ask("anything", "/v1/models")).status == 200
    secret = key_app.key()
    assert (await key_app.ask("anything", "/v1/models")).status == 401
    assert (await key_app.ask(secret, "/v1/models")).status == 200
    key_app.repository.revoke(key_app.repository.list_all()[0].id)
    key_app.key_cache.load()
    assert (await key_app.ask(secret, "/v1/models")).status == 401
    assert (await key_app.ask("anything", "/v1/models")).status == 401
    assert (await key_app.ask(TOOL, "/v1/models")).status == 200


async def test_an_operator_makes_shows_and_ends_keys(key_app: KeyApp) -> None:
    """A key created over HTTP shows its secret once, is valid at once, and can be listed, rotated and revoked."""
    made = await key_app.manage("POST", "", {"name": "bot", "project": "team", "limits": {"requests_per_minute": 9}})
    assert made.status == 200
    secret, key_id = made.json["secret"], made.json["id"]
    assert (await key_app.ask(secret, "/v1/models")).headers["x-ratelimit-limit-requests"] == "9"
    [listed] = (await key_app.manage("GET", "")).json["data"]
    assert listed == (await key_app.manage("GET", f"/{key_id}")).json
    assert "secret" not in listed
    assert (listed["object"], listed["project"], listed["limits"]["requests_per_minute"]) == ("key", "team", 9)
    again = (await key_app.manage("POST", f"/{key_id}/rotate")).json
    assert (again["id"], again["project"]) == (key_id, "team")
    assert (await key_app.ask(secret, "/v1/models")).status == 401
    assert (await key_app.ask(again["secret"], "/v1/models")).status == 200
    assert (await key_app.manage("DELETE", f"/{key_id}")).json["revoked_at"] is not None
    assert (await key_app.ask(again["secret"], "/v1/models")).status == 401


async def test_a_changed_limit_applies_at_once(key_app: KeyApp) -> None:
    """A limit that is changed over HTTP applies to the next request; what is not named stays; null removes it."""
    made = (await key_app.manage("POST", "", {"name": "bot", "limits": {"tokens_per_day": 500}})).json
    path, secret = f"/{made['id']}", made["secret"]
    assert (await key_app.ask(secret, prompt="a")).status == 200
    changed = (await key_app.manage("POST", path, {"limits": {"requests_per_minute": 1}})).json
    assert (changed["limits"]["requests_per_minute"], changed["limits"]["tokens_per_day"]) == (1, 500)
    assert (await key_app.ask(secret, prompt="a")).status == 429
    changed = (await key_app.manage("POST", path, {"limits": {"requests_per_minute": None}})).json
    assert (changed["limits"]["requests_per_minute"], changed["limits"]["tokens_per_day"]) == (None, 500)
    assert (await key_app.ask(secret, prompt="a")).status == 200
    assert "secret" not in changed


async def test_a_key_is_renamed_restricted_and_ended(key_app: KeyApp) -> None:
    """Name, models (aliases become models) and expiry are changed, each by itself; the secret stays."""
    made = (await key_app.manage("POST", "", {"name": "bot"})).json
    path, secret = f"/{made['id']}", made["secret"]
    changed = (await key_app.manage("POST", path, {"name": "new", "models": ["gpt-3.5-turbo"]})).json
    assert (changed["name"], changed["models"], changed["status"]) == ("new", ["tiny"], "active")
    assert (await key_app.ask(secret, model="org/other", prompt="a")).status == 403
    assert (await key_app.manage("POST", path, {"models": []})).json["models"] == []
    assert (await key_app.ask(secret, model="org/other", prompt="a")).status == 200
    assert (await key_app.manage("POST", path, {"expires_in_s": 60})).json["expires_at"] > made["created_at"]
    assert (await key_app.manage("POST", path, {"expires_in_s": None})).json["expires_at"] is None
    assert (await key_app.manage("GET", path)).json["name"] == "new"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"project": "other"}, "project"),
        ({"models": ["nowhere"]}, "model"),
        ({"limits": {"tokens_per_year": 1}}, "limits.tokens_per_year"),
        ({"limits": {"tokens_per_day": 0}}, "limits.tokens_per_day"),
        ({"expires_in_s": 0}, "expires_in_s"),
    ],
)
async def test_an_invalid_change_is_refused_by_name(key_app: KeyApp, body: object, param: str) -> None:
    """A change with an unknown field or a value out of range is refused by name, and changes nothing."""
    made = (await key_app.manage("POST", "", {"name": "bot"})).json
    response = await key_app.manage("POST", f"/{made['id']}", body)
    assert response.status in (400, 404)
    assert response.error["param"] == param
    del made["secret"]
    assert (await key_app.manage("GET", f"/{made['id']}")).json == made


async def test_a_revoked_key_cannot_be_changed(key_app: KeyApp) -> None:
    """A revoked key stays revoked and as it was; its status says so."""
    made = (await key_app.manage("POST", "", {"name": "bot"})).json
    assert (await key_app.manage("DELETE", f"/{made['id']}")).json["status"] == "revoked"
    assert (await key_app.manage("POST", f"/{made['id']}", {"expires_in_s": None})).error["code"] == "key_revoked"
    assert (await key_app.manage("POST", "/key_x", {"name": "a"})).status == 404


async def test_keys_are_listed_with_what_they_used_today(key_app: KeyApp) -> None:
    """Each key has the requests and tokens of this day, the latest answer included, and none of other keys."""
    secret, _ = key_app.key("busy"), key_app.key("idle")
    for _ in range(2):
        response = await key_app.ask(secret, prompt="a")
    usage = response.json["usage"]
    found = {key["name"]: key for key in (await key_app.manage("GET", "")).json["data"]}
    assert found["busy"]["usage_today"] == {
        "requests": 2,
        "prompt_tokens": 2 * usage["prompt_tokens"],
        "completion_tokens": 2 * usage["completion_tokens"],
        "cached_tokens": 0,
    }
    assert found["idle"]["usage_today"]["requests"] == 0
    assert (await key_app.manage("GET", f"/{found['busy']['id']}")).json == found["busy"]


async def test_only_an_admin_manages_keys(key_app: KeyApp) -> None:
    """For a caller without an admin key, even with a key of its own, `/admin` does not exist."""
    secret = key_app.key()
    for key in (secret, "", "wrong"):
        assert (await key_app.manage("GET", "", key=key)).status == 404
    assert (await key_app.manage("GET", "", key=TOOL)).status == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a", "colour": "red"}, "colour"),
        ({"name": "a", "models": ["nowhere"]}, "model"),
        ({"name": "a", "limits": {"tokens_per_year": 1}}, "limits.tokens_per_year"),
        ({"name": "a", "limits": {"tokens_per_day": -1}}, "limits.tokens_per_day"),
    ],
)
async def test_an_invalid_key_is_refused_by_name(key_app: KeyApp, body: object, param: str) -> None:
    """Unknown fields and models, and limits of zero, are refused by name."""
    response = await key_app.manage("POST", "", body)
    assert response.status in (400, 404)
    assert response.error["param"] == param


async def test_unknown_keys_are_not_found(key_app: KeyApp) -> None:
    """An unknown id is a 404."""
    for method, path in (("GET", "/key_x"), ("DELETE", "/key_x"), ("POST", "/key_x/rotate")):
        assert (await key_app.manage(method, path)).status == 404


async def test_a_key_allows_only_its_models(key_app: KeyApp) -> None:
    """A key for an alias allows the model behind it under every name, and no other model."""
    made = await key_app.manage("POST", "", {"name": "bot", "models": ["gpt-3.5-turbo"]})
    assert made.json["models"] == ["tiny"]
    secret = made.json["secret"]
    assert (await key_app.ask(secret, prompt="a")).status == 200
    assert (await key_app.ask(secret, model="text-davinci-003", prompt="a")).status == 200
    for path in ("/v1/completions", "/v1/engines/org/other/completions"):
        response = await key_app.ask(secret, path, model="org/other", prompt="a")
        assert response.status == 403
        assert response.error["code"] == "model_not_found"
    names = {entry["id"] for entry in (await key_app.ask(secret, "/v1/models")).json["data"]}
    assert names == {"tiny", "gpt-3.5-turbo", "text-davinci-003"}
    assert {entry["id"] for entry in (await key_app.ask(secret, "/v1/engines")).json["data"]} == names
    assert (await key_app.ask(secret, "/v1/models/org/other")).status == 403


@pytest.mark.parametrize("number", [str(2**63), "9" * 30, "-" + "9" * 4000, "9" * 5000])
async def test_a_number_that_no_database_holds_is_refused(key_app: KeyApp, number: str) -> None:
    """Limits and times of more than 64 bits are a 400 that names the field and does not repeat them completely."""
    for body, param in (
        (f'{{"name": "bot", "limits": {{"tokens_per_day": {number}}}}}', "limits.tokens_per_day"),
        (f'{{"name": "bot", "expires_in_s": {number}}}', "expires_in_s"),
    ):
        headers = {"authorization": f"Bearer {ADMIN}"}
        response = await call(key_app.app, "POST", "/admin/v1/keys", body.encode(), headers=headers)
        assert (response.status, response.error["param"]) == (400, param)
        assert len(response.body) < 500


async def test_over_the_limit_is_429_with_true_headers(key_app: KeyApp) -> None:
    """All six headers are on every response and count down; over the limit a 429 says when to retry."""
    secret = key_app.key(requests_per_minute=2, tokens_per_minute=1000)
    before = await key_app.ask(secret, "/v1/models")
    assert before.headers["x-ratelimit-remaining-requests"] == "2"
    assert before.headers["x-ratelimit-reset-requests"] == "0s"
    assert before.headers["x-ratelimit-remaining-tokens"] == "1000"
    first = await key_app.ask(secret, prompt="word " * 4, max_tokens=50)
    usage = first.json["usage"]["total_tokens"]
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["x-ratelimit-reset-requests"].startswith(("59", "1m0"))
    assert (await key_app.ask(secret, "/v1/models")).headers["x-ratelimit-remaining-tokens"] == str(1000 - usage)
    assert (await key_app.ask(secret, prompt="a")).status == 200
    refused = await key_app.ask(secret, prompt="a")
    assert refused.status == 429
    assert (refused.error["type"], refused.error["code"]) == ("rate_limit_exceeded", "rate_limit_exceeded")
    assert 55 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-limit-tokens"] == "1000"
    assert (await key_app.ask(secret, "/v1/models")).status == 200  # looking around is not counted


async def test_metrics_are_counted_by_key(key_app: KeyApp) -> None:
    """`/metrics` has each key's requests, tokens and 429s, under the key's id."""
    secret = key_app.key(project="team", requests_per_minute=1)
    [key] = key_app.repository.list_all()
    response = await key_app.ask(secret, prompt="a")
    await key_app.ask(secret, prompt="a")
    metrics = (await call(key_app.app, "GET", "/metrics")).body.decode()
    labels = f'key="{key.id}",project="team"'
    usage = response.json["usage"]
    for line in (
        f"homeport:key_requests_total{{{labels}}} 1.0",
        f"homeport:key_refusals_total{{{labels}}} 1.0",
        f'homeport:key_tokens_total{{key="{key.id}",kind="completion",project="team"}} {usage["completion_tokens"]}.0',
    ):
        assert line in metrics


async def test_a_wrong_request_costs_no_tokens(key_app: KeyApp) -> None:
    """A request that is refused before any work uses one request and no token."""
    secret = key_app.key(requests_per_minute=5, tokens_per_minute=100)
    assert (await key_app.ask(secret, prompt="a", max_tokens=-1)).status == 400
    response = await key_app.ask(secret, "/v1/models")
    assert response.headers["x-ratelimit-remaining-requests"] == "4"
    assert response.headers["x-ratelimit-remaining-tokens"] == "100"


async def test_too_many_tokens_are_refused_before_work(key_app: KeyApp) -> None:
    """A request that may use more tokens than are left reaches no model."""
    secret = key_app.key(tokens_per_minute=100)
    response = await key_app.ask(secret, prompt="a", max_tokens=200)
    assert response.status == 429
    assert "Requested 201" in response.error["message"]
    assert key_app.serving.requests == []


async def test_a_spent_budget_is_insufficient_quota(key_app: KeyApp) -> None:
    """Over a day's tokens the error is OpenAI's for an exceeded quota."""
    secret = key_app.key(tokens_per_day=8)
    assert (await key_app.ask(secret, prompt="a")).status == 200
    response = await key_app.ask(secret, prompt="a")
    assert (response.status, response.error["code"]) == (429, "insufficient_quota")
    assert response.headers["x-should-retry"] == "false"
    assert int(response.headers["retry-after"]) <= 86_400


async def test_concurrency_is_released_at_the_end(tmp_path: Path) -> None:
    """While a stream runs a second request is refused; after its end the next one is served."""
    going, steps = asyncio.Event(), list(answer("one two"))
    key_app = KeyApp(tmp_path, FakeServing(lambda _: [steps[0], going, *steps[1:]]))
    secret = key_app.key(concurrent_requests=1)
    stream = asyncio.create_task(key_app.ask(secret, prompt="a", stream=True))
    await key_app.serving.opened.wait()
    assert (await key_app.ask(secret, prompt="a")).status == 429
    going.set()
    assert (await stream).status == 200
    assert (await key_app.ask(secret, prompt="a")).status == 200


async def test_a_request_has_its_keys_project(key_app: KeyApp) -> None:
    """An engine request has its key's project, so that prefixes are not shared across projects."""
    await key_app.ask(key_app.key(project="team"), prompt="a")
    [(_, request)] = key_app.serving.requests
    assert getattr(request, "project", None) == "team"


async def test_requests_run_no_sql(key_app: KeyApp) -> None:
    """Requests with a limited key, streamed or not, refused or not, run no SQL statement."""
    import sqlalchemy as sa

    secret = key_app.key(requests_per_minute=4, tokens_per_minute=1000, tokens_per_day=5000)
    statements: list[str] = []
    engine = key_app.repository._database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    for stream in (False, True, True, False, False):
        await key_app.ask(secret, prompt="a", stream=stream)
    assert (await key_app.ask("sk-wrong", prompt="a")).status == 401
    assert statements == []


def test_an_expired_key_opens_nothing() -> None:
    """A key is valid before its expiry, and not from then on."""
    key = Key(id="k", project="p", name="n", hint="", created_at=0, expires_at=10)
    assert key.is_valid(9.9)
    assert not key.is_valid(10)


async def test_a_fine_tuned_model_is_its_projects_own(tmp_path: Path) -> None:
    """Another project cannot see, use or delete the model; a key for its base model allows it too."""
    key_app = KeyApp(tmp_path)
    theirs = msgspec.structs.replace(tuned(TUNED, "tiny"), project="team")
    everybodys = tuned(OPEN, "tiny")
    registry = FakeRegistry([installed("tiny"), installed("org/other"), theirs, everybodys], [Alias("mine", TUNED)])
    key_app.app.state.services = replace(key_app.app.state.services, registry=registry)
    own, narrow, other = (
        key_app.key("own", project="team"),
        key_app.key("narrow", ("tiny",), "team"),
        key_app.key("other"),
    )
    only, closed = key_app.key("only", (TUNED,), "team"), key_app.key("closed", ("org/other",), "team")
    for secret, status in ((own, 200), (narrow, 200), (only, 200), (closed, 403), (other, 404)):
        for name in (TUNED, "mine"):
            assert (await key_app.ask(secret, model=name, prompt="a")).status == status
        names = {entry["id"] for entry in (await key_app.ask(secret, "/v1/models")).json["data"]}
        assert ({TUNED, "mine"} <= names) == (status == 200)
        assert ({TUNED, "mine"} & names == set()) == (status != 200)
    assert (await key_app.ask(only, prompt="a")).status == 403
    assert (await key_app.ask(other, model=OPEN, prompt="a")).status == 200
    for secret, name, status in ((other, TUNED, 404), (own, OPEN, 403), (own, TUNED, 200), (other, OPEN, 200)):
        bearer = {"authorization": f"Bearer {secret}"}
        assert (await call(key_app.app, "DELETE", f"/v1/models/{name}", headers=bearer)).status == status
