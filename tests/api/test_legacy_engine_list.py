"""The list that clients of 2023 still request."""

from homeport.api.application import build_application
from tests.api.asgi import call
from tests.api.fakes import services


async def test_engines_are_the_models_by_their_old_name() -> None:
    """The list has the same names as the list of models, in the format of 2023."""
    app = build_application(services())
    engines = (await call(app, "GET", "/v1/engines")).json
    models = (await call(app, "GET", "/v1/models")).json
    assert engines["object"] == "list"
    assert [entry["id"] for entry in engines["data"]] == [entry["id"] for entry in models["data"]]


async def test_one_engine_is_described() -> None:
    """An engine, also one with a slash in its name, is `ready`; an unknown one is a 404."""
    app = build_application(services())
    response = await call(app, "GET", "/v1/engines/org/other")
    assert response.json == {
        "id": "org/other",
        "object": "engine",
        "created": None,
        "owner": "homeport",
        "permissions": None,
        "ready": True,
    }
    assert (await call(app, "GET", "/v1/engines/nobody")).error["code"] == "model_not_found"
