"""The end of a response: its status, its usage, and why it failed."""

import json

import pytest

from homeport.api.responses.render import encode, to_failed, to_finished, to_usage, with_output
from homeport.api.responses.response_object import ResponseObject
from homeport.domain.errors import EngineFailed, HomeportError, InvalidRequest, Overloaded, RateLimited
from homeport.domain.events import Usage
from homeport.domain.responses import Item

BASE = ResponseObject(id="resp_1", created_at=1, model="m")
USAGE = Usage(3, 5, 1, 2)


def test_usage_adds_up() -> None:
    """The usage has the kinds of tokens and their sum."""
    usage = to_usage(USAGE)
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 5, 8)
    assert usage.input_tokens_details.cached_tokens == 1
    assert usage.output_tokens_details.reasoning_tokens == 2


@pytest.mark.parametrize("reason", ["stop", "tool_calls", None])
def test_what_ends_by_itself_is_completed(reason: str | None) -> None:
    """A response that was not cut is completed, at a time in whole seconds."""
    finished = to_finished(BASE, reason, USAGE, 9.7, "")
    assert (finished.status, finished.completed_at, finished.incomplete_details) == ("completed", 9, None)
    assert "limited_by" not in json.loads(encode(finished))


def test_what_is_cut_names_its_limit() -> None:
    """A response that was cut is incomplete, has no time of completion, and names the key's limit that cut it."""
    finished = json.loads(encode(to_finished(BASE, "length", USAGE, 9.7, "tokens_per_day")))
    assert (finished["status"], finished["completed_at"]) == ("incomplete", None)
    assert finished["incomplete_details"] == {"reason": "max_output_tokens"}
    assert finished["limited_by"] == "tokens_per_day"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineFailed("broke"), "server_error"),
        (RateLimited("slow down"), "rate_limit_exceeded"),
        (Overloaded("busy"), "rate_limit_exceeded"),
        (InvalidRequest("bad"), "invalid_prompt"),
    ],
)
def test_a_failure_has_a_published_code(error: HomeportError, code: str) -> None:
    """What failed says why with a code of OpenAI's, and what was spent until then."""
    failed = to_failed(BASE, error, USAGE)
    assert failed.error is not None
    assert (failed.status, failed.error.code, failed.error.message) == ("failed", code, error.message)
    assert failed.usage == to_usage(USAGE)


def test_items_are_not_encoded_again() -> None:
    """The items of a response are in its JSON exactly as they are stored, in order."""
    bodies = ('{"b": 1,  "a":2}', "{}")
    text = encode(with_output(BASE, [Item(str(at), body) for at, body in enumerate(bodies)]))
    assert f'"output":[{",".join(bodies)}]' in text
    assert json.loads(encode(BASE))["output"] == []
