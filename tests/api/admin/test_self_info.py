"""What `/admin/v1/self` tells each kind of caller, and that it tells no one else."""

from pathlib import Path

import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.keys import KeyLimits, NewKey
from homeport.serving.rate_limits import RateLimiter
from homeport.store import migration
from homeport.store.database import Database
from homeport.store.key_cache import SqlKeyCache
from homeport.store.keys import SqlKeyRepository
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import services

ADMIN, SET, TOOL = "the-operators-own-key", "sk-a-key-of-the-settings", "a-token-of-this-users-tools"
PATH = "/admin/v1/self"


class SelfApp:
    """An application with every kind of key, or with the admin key only if it is keyless."""

    def __init__(self, folder: Path, *, is_keyless: bool = False) -> None:
        database = Database(f"sqlite:///{folder}/homeport.db")
        migration.prepare_database(database)
        self.keys = SqlKeyRepository(database, b"s" * 32)
        self.cache = SqlKeyCache(self.keys, b"s" * 32)
        self.cache.load()
        self.limiter = RateLimiter()
        access = AccessPolicy.from_keys(
            () if is_keyless else (SET,), admin_keys=(ADMIN,), tool_tokens=(TOOL,), key_cache=self.cache
        )
        self.app = build_application(services(access=access, keys=self.keys, rate_limiter=self.limiter, version="7"))

    async def ask(self, key: str, **headers: str) -> AsgiResponse:
        """Ask with a key."""
        return await call(self.app, "GET", PATH, headers={"authorization": f"Bearer {key}", **headers})


@pytest.fixture
def self_app(tmp_path: Path) -> SelfApp:
    return SelfApp(tmp_path)


async def test_a_stored_key_learns_its_limits(self_app: SelfApp) -> None:
    """A stored key learns its project, models, limits and what it has used, and nothing of other keys."""
    limits = KeyLimits(requests_per_minute=9, tokens_per_day=100)
    issued = self_app.keys.create(NewKey(name="bot", project="team", models=("tiny",), limits=limits))
    self_app.cache.load()
    self_app.limiter.seed(issued.key.id, 30, 40)
    response = await self_app.ask(issued.secret)
    body = response.json
    assert (body["permissions"], body["project"], body["models"]) == (["call"], "team", ["tiny"])
    assert body["key"]["limits"]["tokens_per_day"] == 100
    assert body["key"]["tokens_used"] == {"day": 30, "month": 40}
    assert body["rates"] == {"requests": {"limit": 9, "remaining": 9, "reset_s": 0.0}}
    assert (body["key"]["id"], body["key"]["name"], body["key"]["hint"]) == (issued.key.id, "bot", issued.key.hint)
    assert issued.secret not in response.body.decode()
    assert (body["requires_key"], body["version"], body["features"]) == (True, "7", ["keys"])


@pytest.mark.parametrize(
    ("key", "permissions", "project"),
    [(SET, ["call"], "local"), (TOOL, ["call", "admin"], "local"), (ADMIN, ["admin"], None)],
)
async def test_other_keys_learn_what_they_may_do(
    self_app: SelfApp, key: str, permissions: list[str], project: str | None
) -> None:
    """A key of the settings may call, the admin key may manage, and the token of this user's tools may do both."""
    body = (await self_app.ask(key)).json
    assert (body["permissions"], body["project"], body["key"], body["models"]) == (permissions, project, None, None)


@pytest.mark.parametrize("key", ["", "wrong-wrong-wrong"])
async def test_no_one_else_learns_anything(self_app: SelfApp, key: str) -> None:
    """Without a valid key it is a 401, as it is everywhere but under `/admin`."""
    assert (await self_app.ask(key)).status == 401


async def test_a_revoked_key_learns_nothing(self_app: SelfApp) -> None:
    """A revoked key is a 401."""
    issued = self_app.keys.create(NewKey(name="bot"))
    self_app.keys.revoke(issued.key.id)
    self_app.cache.load()
    assert (await self_app.ask(issued.secret)).status == 401


async def test_a_keyless_server_says_so(tmp_path: Path) -> None:
    """Without keys any program of this machine may call; a page of another host learns nothing."""
    app = SelfApp(tmp_path, is_keyless=True)
    body = (await app.ask("anything")).json
    assert (body["permissions"], body["requires_key"], body["project"]) == (["call"], False, "local")
    assert (await app.ask(ADMIN)).json["permissions"] == ["call", "admin"]
    assert (await app.ask("anything", origin="https://elsewhere.example")).status == 403


async def test_other_methods_are_refused(self_app: SelfApp) -> None:
    """It can only be read."""
    response = await call(self_app.app, "POST", PATH, headers={"authorization": f"Bearer {SET}"})
    assert response.status == 405
