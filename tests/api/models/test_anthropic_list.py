"""The list of models for Anthropic's clients."""

import pytest
from starlette.types import ASGIApp

from homeport.api.application import build_application
from homeport.domain.models import Alias
from tests.api.asgi import call
from tests.api.fakes import FakeRegistry, installed, services

NAMES = ["a", "b", "c", "gpt-4"]
VERSION = {"anthropic-version": "2023-06-01"}


def application() -> ASGIApp:
    """Three models that chat, one that does not, and an alias."""
    models = [*(installed(name) for name in NAMES[:3]), installed("vectors", ("embeddings",))]
    return build_application(services(registry=FakeRegistry(models, [Alias("gpt-4", "a")])))


@pytest.mark.parametrize(
    ("query", "names", "has_more"),
    [
        ("", NAMES, False),
        ("?beta=true&limit=4", NAMES, False),
        ("?limit=2", ["a", "b"], True),
        ("?limit=2&after_id=b", ["c", "gpt-4"], False),
        ("?limit=1&after_id=a", ["b"], True),
        ("?limit=1&before_id=c", ["b"], True),
        ("?before_id=b", ["a"], False),
        ("?after_id=gpt-4", [], False),
    ],
)
async def test_models_that_chat_are_listed_in_pages(query: str, names: list[str], has_more: bool) -> None:
    """Names are in the order of the other list, and each page says whether there are more."""
    body = (await call(application(), "GET", f"/v1/models{query}", headers=VERSION)).json
    assert [each["id"] for each in body["data"]] == names
    ends = (names[0], names[-1]) if names else (None, None)
    assert (body["has_more"], body["first_id"], body["last_id"]) == (has_more, *ends)


async def test_a_model_has_anthropics_fields() -> None:
    """A model has a name to show, the time of its creation and its window."""
    body = (await call(application(), "GET", "/v1/models?limit=1", headers=VERSION)).json
    assert body["data"] == [
        {
            "type": "model",
            "id": "a",
            "display_name": "a",
            "created_at": "2023-11-14T22:13:20Z",
            "lifecycle": "active",
            "max_input_tokens": 2048,
            "max_tokens": 2048,
        }
    ]


@pytest.mark.parametrize("query", ["?limit=0", "?limit=x", "?order=asc"])
async def test_a_wrong_query_is_refused(query: str) -> None:
    """Limits out of range and unknown parameters are a 400."""
    assert (await call(application(), "GET", f"/v1/models{query}", headers=VERSION)).status == 400


async def test_other_clients_see_openais_list() -> None:
    """Without the header the list is OpenAI's, of all models."""
    body = (await call(application(), "GET", "/v1/models")).json
    assert (body["object"], len(body["data"])) == ("list", 5)
