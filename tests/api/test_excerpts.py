"""What error messages repeat of a request: a long value in every place where one can be sent."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeport.api.application import ROUTES
from homeport.domain.errors import EXCERPT_CHARS, MESSAGE_CHARS, InvalidRequest, excerpt
from tests.api.asgi import call
from tests.api.fine_tuning.fine_tuning_app import FineTuningApp
from tests.api.form_bodies import HEADERS, form

LONG = "Q" * 5_000
BODIES: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": "a", "suffix": "b", "stop": "c", "logit_bias": {}, "user": "u"},
    "/v1/engines/tiny/completions": {"prompt": "a"},
    "/v1/chat/completions": {
        "messages": [],
        "service_tier": "auto",
        "safety_identifier": "a",
        "metadata": {},
        "modalities": [],
        "response_format": {},
        "verbosity": "low",
        "tools": [],
        "tool_choice": "auto",
        "functions": [],
        "function_call": "auto",
        "prompt_cache_retention": "24h",
        "prompt_cache_options": {},
        "reasoning_effort": "low",
        "stream_options": {},
    },
    "/v1/edits": {"instruction": "a", "input": "b"},
    "/v1/embeddings": {"input": "a", "encoding_format": "float", "messages": []},
    "/v1/moderations": {"input": "a"},
    "/v1/audio/speech": {"input": "a", "voice": "b", "response_format": "mp3", "stream_format": "sse"},
    "/v1/audio/music": {"prompt": "a", "response_format": "mp3", "stream_format": "sse"},
    "/v1/images/generations": {
        "prompt": "a",
        "size": "auto",
        "quality": "low",
        "style": "vivid",
        "response_format": "url",
        "background": "auto",
        "output_format": "png",
        "moderation": "low",
    },
    "/v1/uploads": {"purpose": "batch", "filename": "a", "mime_type": "b", "bytes": 1, "expires_after": {}},
    "/v1/batches": {"input_file_id": "a", "endpoint": "/v1/embeddings", "completion_window": "24h", "metadata": {}},
    "/v1/fine-tunes": {"training_file": "a", "suffix": "b", "validation_file": "c"},
    "/v1/fine_tuning/jobs": {"training_file": "a", "method": {}, "hyperparameters": {}, "suffix": "b", "metadata": {}},
}
VALUES: list[Any] = [
    LONG,
    [LONG],
    {LONG: LONG},
    {"type": LONG},
    [{"type": LONG}],
    [{"role": LONG, "content": "a"}],
    [{"role": "user", "content": [{"type": LONG}]}],
    [{"role": "user", "content": "a", LONG: "b"}],
    10**250,
]


@pytest.fixture
def fine_tuning_app(tmp_path: Path) -> FineTuningApp:
    """An application with all repositories that the fakes offer."""
    return FineTuningApp(tmp_path)


async def count_repeated(
    fine_tuning_app: FineTuningApp, method: str, path: str, body: object = None, **headers: str
) -> int:
    """Return how many characters of the long value an error repeats."""
    sent = b"" if body is None else json.dumps(body).encode()
    key = {"authorization": f"Bearer {fine_tuning_app.secrets['one']}"}
    response = await call(fine_tuning_app.app, method, path, sent, headers={**key, **headers})
    assert response.status != 500, response.body
    assert response.status != 401 or "authorization" in headers or "organization" in path, response.body
    if response.status < 400:
        return 0
    received = response.error
    shown = (received["message"], received["param"] or "", *response.headers.values())
    return max(max(str(text).count("Q"), str(text).count("0")) for text in shown)


@pytest.mark.parametrize("path", BODIES)
async def test_long_fields_are_not_repeated(fine_tuning_app: FineTuningApp, path: str) -> None:
    """If a body has a long value or name, the response repeats at most 200 characters of it."""
    plain = {"model": "tiny", **BODIES[path]}
    bodies = [{**plain, name: value} for name in plain for value in VALUES]
    bodies += [{**plain, LONG: 1}, {LONG: LONG}, {**plain, "a - at `$.stop`" + LONG: 1}]
    for body in bodies:
        assert await count_repeated(fine_tuning_app, "POST", path, body) <= EXCERPT_CHARS, list(body)


async def test_long_paths_are_not_repeated(fine_tuning_app: FineTuningApp) -> None:
    """The same holds for names in paths: models, files, batches, jobs, images, and unknown paths."""
    paths = [(method, path) for path, methods in ROUTES.items() if "{" in path for method in methods]
    for method, template in [*paths, ("GET", "/{x}"), ("PUT", "/v1/models/{x}"), ("GET", "/v1/{x}/y")]:
        path = "/".join(LONG if part.startswith("{") else part for part in template.split("/"))
        assert await count_repeated(fine_tuning_app, method, path) <= EXCERPT_CHARS, template


@pytest.mark.parametrize("name", ["content-type", "content-encoding", "authorization", "origin", "x-request-id"])
async def test_long_headers_are_not_repeated(fine_tuning_app: FineTuningApp, name: str) -> None:
    """The same holds for headers that errors name."""
    assert (
        await count_repeated(fine_tuning_app, "POST", "/v1/completions", {"model": "none"}, **{name: LONG})
        <= EXCERPT_CHARS
    )


@pytest.mark.parametrize("path", ["/v1/files", "/v1/fine_tuning/jobs", "/tokenizer_info"])
async def test_long_queries_are_not_repeated(fine_tuning_app: FineTuningApp, path: str) -> None:
    """The same holds for query strings."""
    for name in ("after", "limit", "order", "purpose", "model", LONG):
        response = await fine_tuning_app.ask("GET", path, **{name: LONG})
        assert response.status < 500
        assert max(str(response.json.get("error")).count(sign) for sign in "Q0") <= 2 * EXCERPT_CHARS, name


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/images/edits", "/v1/files", "/v1/images/variations"])
async def test_long_form_values_are_not_repeated(fine_tuning_app: FineTuningApp, path: str) -> None:
    """The same holds for forms: values, names of fields and of files, and names with brackets."""
    names = ["model", "language", "response_format", "size", "prompt", "purpose", "quality"]
    names += [LONG, f"{LONG}[]", f"a[{LONG}]", f"{LONG}[a]"]
    key = {"authorization": f"Bearer {fine_tuning_app.secrets['one']}"}
    for name in names:
        for files in ([], [("file", b"x")], [(LONG, b"x")], [("image", b"x"), ("mask", b"")]):
            fields = [("model", "tiny"), (name, LONG)] if name != "model" else [(name, LONG)]
            response = await call(fine_tuning_app.app, "POST", path, form(fields, files), headers={**key, **HEADERS})
            assert 400 <= response.status < 500, response.body
            received = response.error
            assert max(str(received[part]).count("Q") for part in ("message", "param")) <= EXCERPT_CHARS, name


def test_a_forgotten_value_does_not_fill_an_answer() -> None:
    """A message is bounded even if no excerpt was made, and so is the name of a field."""
    error = InvalidRequest(LONG * 100, param=LONG)
    assert len(error.message) == len(str(error)) == MESSAGE_CHARS
    assert error.param == excerpt(LONG)
    assert excerpt("short") == "short"
