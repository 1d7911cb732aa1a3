"""Moderations in process: engine requests, answers under each name, and refusals by field."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.api.moderations.convert import MAX_CHARACTERS, MAX_IMAGES, MAX_INPUTS
from homeport.api.moderations.render import ORIGINAL_CATEGORIES, TEXT_CATEGORIES, categories
from homeport.api.moderations.schema import DEFAULT_MODEL
from homeport.domain.content import ImagePart, TextPart
from homeport.domain.errors import EngineFailed
from homeport.domain.events import (
    Admitted,
    CategoryScore,
    Done,
    ModerationVerdict,
    Usage,
)
from homeport.domain.models import Alias
from homeport.domain.moderation import CATEGORIES, ModerationRequest
from homeport.domain.worker_messages import EngineRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed, services
from tests.api.form_bodies import is_empty
from tests.api.image_inputs.vision_app import data_url, png

NAMES = ("omni-moderation-latest", "text-moderation-latest", "text-moderation-004", "text-moderation-007")
OMNI = "omni-moderation-latest"
PNG = data_url(png())


def verdict(index: int, *flagged: str) -> ModerationVerdict:
    return ModerationVerdict(
        index, tuple(CategoryScore(c, 0.9 if c in flagged else 0.1, c in flagged, ("text",)) for c in CATEGORIES)
    )


def judged(request: EngineRequest) -> Script:
    """Return verdicts in reverse order; the second input is violent."""
    assert isinstance(request, ModerationRequest)
    verdicts = [verdict(at, *(["violence"] if at == 1 else [])) for at in range(len(request.inputs))]
    return [[Admitted(7)], list(reversed(verdicts)), [Done(Usage(7))]]


async def post(tmp_path: Path, body: Any, serving: FakeServing | None = None) -> AsgiResponse:
    registry = FakeRegistry(
        [installed("homeport-moderation", ("moderations",)), installed("tiny")],
        [Alias(name, "homeport-moderation", None) for name in NAMES],
    )
    app = build_application(services(serving or FakeServing(judged), registry=registry, spool=tmp_path))
    headers = {"content-type": "application/json"}
    return await call(app, "POST", "/v1/moderations", json.dumps(body).encode(), headers)


def part(url: str = PNG) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (OMNI, CATEGORIES),
        ("homeport-moderation", CATEGORIES),
        ("text-moderation-latest", TEXT_CATEGORIES),
        ("text-moderation-007", TEXT_CATEGORIES),
        ("text-moderation-004", ORIGINAL_CATEGORIES),
    ],
)
async def test_a_name_has_exactly_its_categories(tmp_path: Path, name: str, expected: tuple[str, ...]) -> None:
    """The first models of 2023 have seven categories, later text models eleven, others thirteen with input types."""
    response = await post(tmp_path, {"input": ["Hello", "Bang"], "model": name})
    assert response.status == 200, response.body
    assert set(response.json) == {"id", "model", "results"}
    assert response.json["id"].startswith("modr-")
    assert response.json["model"] == name
    assert response.headers["x-homeport-model"] == "homeport-moderation"
    for at, result in enumerate(response.json["results"]):
        keys = {"flagged", "categories", "category_scores"}
        assert set(result) - {"category_applied_input_types"} == keys
        assert list(result["categories"]) == list(result["category_scores"]) == list(expected)
        assert ("category_applied_input_types" in result) == (not name.startswith("text-"))
        assert result["flagged"] is any(result["categories"].values()) is (at == 1)


async def test_flags_of_categories_that_a_name_lacks_do_not_count(tmp_path: Path) -> None:
    """`flagged` depends only on the categories that are reported."""
    serving = FakeServing(lambda _: [[Admitted(1)], [verdict(0, "illicit")], [Done(Usage(1))]])
    old = await post(tmp_path, {"input": "x", "model": "text-moderation-latest"}, serving)
    new = await post(tmp_path, {"input": "x", "model": OMNI}, serving)
    assert (old.json["results"][0]["flagged"], new.json["results"][0]["flagged"]) == (False, True)


async def test_without_a_model_todays_default_answers(tmp_path: Path) -> None:
    """The default is today's documented one, whose categories include all of 2023's."""
    response = await post(tmp_path, {"input": "Hello"})
    assert response.json["model"] == DEFAULT_MODEL
    assert set(ORIGINAL_CATEGORIES) < set(TEXT_CATEGORIES) < set(categories(DEFAULT_MODEL))


async def test_texts_and_parts_become_inputs(tmp_path: Path) -> None:
    """A text is one input, texts are many, parts are one; images are files while the worker runs."""
    seen: list[bytes] = []

    def look(request: EngineRequest) -> Script:
        assert isinstance(request, ModerationRequest)
        for each in request.inputs[0]:
            if isinstance(each, ImagePart):
                seen.append(each.image.local_path.read_bytes())
        return judged(request)

    serving = FakeServing(look)
    for given in ("a", ["a", ""], [{"type": "text", "text": "a"}, part()]):
        assert (await post(tmp_path, {"input": given}, serving)).status == 200
    one, many, parts = (request for _, request in serving.requests if isinstance(request, ModerationRequest))
    assert one.inputs == ((TextPart("a"),),)
    assert many.inputs == ((TextPart("a"),), (TextPart(""),))
    text, picture = parts.inputs[0]
    assert text == TextPart("a")
    assert isinstance(picture, ImagePart)
    assert seen == [png()]
    assert picture.param == "input[1].image_url.url"
    assert is_empty(tmp_path)


URL = "input[0].image_url.url"
BAD: list[tuple[Any, str]] = [
    ({}, "input"),
    ({"input": []}, "input"),
    ({"input": None}, "input"),
    ({"input": 3}, "input"),
    ({"input": [1, 2]}, "input[0]"),
    ({"input": ["a", {"type": "text", "text": "b"}]}, "input"),
    ({"input": ["a"] * (MAX_INPUTS + 1)}, "input"),
    ({"input": "a" * (MAX_CHARACTERS + 1)}, "input"),
    ({"input": [part()] * (MAX_IMAGES + 1)}, "input"),
    ({"input": [{"type": "audio", "text": "b"}]}, "input[0].type"),
    ({"input": [{"type": "text"}]}, "input[0].text"),
    ({"input": [{"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}]}, "input[0].image_url.detail"),
    ({"input": [part("https://example.com/a.png")]}, URL),
    ({"input": [part("a.png")]}, URL),
    ({"input": [part("data:image/png,abc")]}, URL),
    ({"input": [part("data:text/html;base64,YWJj")]}, URL),
    ({"input": [part("data:image/png;base64,YW#j")]}, URL),
    ({"input": [part("data:image/png;base64,")]}, URL),
    ({"input": [part("data:image/png;base64," + "A" * 13_400_000)]}, URL),
    ({"input": [part()], "model": "text-moderation-latest"}, "input"),
    ({"input": "a", "user": "me"}, "user"),
    ({"input": "a", "model": "tiny"}, "model"),
    ({"input": "a", "model": 4}, "model"),
]


@pytest.mark.parametrize(("body", "param"), BAD)
async def test_bad_requests_are_named(tmp_path: Path, body: Any, param: str) -> None:
    """Each is a 400 in the envelope that names the field; nothing reaches a worker or remains on disk."""
    serving = FakeServing(judged)
    response = await post(tmp_path, body, serving)
    assert response.status == 400, response.body
    assert (response.error["param"] or "").replace("[...]", "[0]") in (param, param.replace("[0]", ""))
    assert not serving.requests
    assert is_empty(tmp_path)


async def test_remote_images_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Remote URLs are never fetched; the message says what to send instead."""
    response = await post(tmp_path, {"input": [part("https://example.com/a.png")]})
    assert "not fetched" in str(response.error["message"])
    assert "data:" in str(response.error["message"])


async def test_a_worker_that_breaks_is_an_error_in_the_envelope(tmp_path: Path) -> None:
    """The images are deleted after a failure too."""
    serving = FakeServing(lambda _: [[Admitted(1)], EngineFailed("broke")])
    response = await post(tmp_path, {"input": [part()]}, serving)
    assert response.status == 500
    assert response.error["message"] == "broke"
    assert is_empty(tmp_path)
