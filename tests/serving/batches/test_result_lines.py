"""The result of a line as it is stored, and when a line is retried."""

import json

import pytest

from homeport.domain.batches import BatchError, DispatchedResponse, LineResult
from homeport.serving.background_requests import PREEMPTED_CODE
from homeport.serving.batches import result_lines
from homeport.serving.batches.input_file import BatchLine

LINE = BatchLine(4, 0, 1, "é")


def reply(
    status: int, body: bytes = b"{}", retry_after_s: float | None = None, code: str | None = None
) -> DispatchedResponse:
    return DispatchedResponse(status=status, request_id="req_1", body=body, retry_after_s=retry_after_s, code=code)


def written(outcome: LineResult) -> dict[str, object]:
    assert "\n" not in outcome.text
    text: dict[str, object] = json.loads(outcome.text)
    assert str(text.pop("id")).startswith("batch_req_")
    return text


def test_an_answer_is_one_line() -> None:
    """Body, status and request id are the server's own, on one line, and its tokens are counted."""
    usage = b'"usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}'
    outcome = result_lines.response_result(LINE, reply(200, b'{\n "a": "b\\n",\n' + usage + b"}"))
    assert (outcome.line, outcome.is_answer) == (4, True)
    assert (outcome.input_tokens, outcome.cached_tokens, outcome.output_tokens) == (9, 3, 4)
    text = written(outcome)
    assert (text["custom_id"], text["error"]) == ("é", None)
    response = text["response"]
    assert isinstance(response, dict)
    assert (response["status_code"], response["request_id"], response["body"]["a"]) == (200, "req_1", "b\n")


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b"{}", (0, 0)),
        (b"[]", (0, 0)),
        (b'{"usage": null}', (0, 0)),
        (b'{"usage": {"prompt_tokens": 7, "total_tokens": 7}}', (7, 0)),
        (b'{"usage": {"input_tokens": 5, "output_tokens": 6}}', (5, 6)),
        (b'{"usage": {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 6}}', (9, 6)),
    ],
)
def test_tokens_are_counted_for_each_kind(body: bytes, tokens: tuple[int, int]) -> None:
    """Embeddings have no output tokens, images their own names, and some answers no tokens at all."""
    outcome = result_lines.response_result(LINE, reply(200, body))
    assert (outcome.input_tokens, outcome.output_tokens) == tokens


def test_errors_have_a_reason() -> None:
    """A failed request has the server's answer; a line that did not run has a code and a message with its number."""
    refused = result_lines.response_result(LINE, reply(404, b'{"error": {"code": "model_not_found"}}'))
    assert not refused.is_answer
    assert written(refused)["response"] == {
        "status_code": 404,
        "request_id": "req_1",
        "body": {"error": {"code": "model_not_found"}},
    }
    undone = written(result_lines.rejected_result(LINE, BatchError(code="c", message="Bad.", line=4)))
    assert undone == {"custom_id": "é", "response": None, "error": {"code": "c", "message": "Line 4: Bad."}}
    late = written(result_lines.expired_result(LINE))
    assert late["error"] == {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    }


@pytest.mark.parametrize(
    ("answer", "n_tries", "waited_s"),
    [
        (reply(200), 0, None),
        (reply(400), 0, None),
        (reply(401), 0, None),
        (reply(404), 0, None),
        (reply(429, retry_after_s=30), 99, 30),
        (reply(429, retry_after_s=101), 0, None),
        (reply(429), 0, None),
        (reply(503, retry_after_s=5), 0, 5),
        (reply(503), 3, 8),
        (reply(500), 4, 16),
        (reply(500), 5, None),
        (reply(507), 99, 10),
        (reply(503, code=PREEMPTED_CODE), 99, 0),
    ],
)
def test_what_may_succeed_later_is_retried(answer: DispatchedResponse, n_tries: int, waited_s: float | None) -> None:
    """Limits are waited for if they end in time, faults are retried a few times, all else is final."""
    assert result_lines.wait_s(answer, n_tries, 100) == waited_s
    assert result_lines.counts_as_attempt(answer) == (answer.status in (500, 503) and answer.code is None)
