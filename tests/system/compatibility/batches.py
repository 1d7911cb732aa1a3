"""For every field that creates a batch: a value that changes the answer, and the change to check."""

import json
from collections.abc import Mapping
from typing import Any

from tests.api.form_bodies import HEADERS, form
from tests.system.compatibility.field_trials import EndpointTrial, Probes
from tests.system.server import HttpAnswer

URL = "/v1/completions"
_BODY = {"model": "smollm2-135m", "prompt": "a", "max_tokens": 1}


class BatchTrial(EndpointTrial):
    """Uploads the lines of `input_file_id` first; a string is the id of a file."""

    def send(self, body: dict[str, Any]) -> HttpAnswer:
        """Send the body, with the id of the file."""
        lines = body.get("input_file_id")
        if isinstance(lines, list):
            body = {**body, "input_file_id": self.sent(lines)}
        return super().send(body)

    def sent(self, lines: list[dict[str, Any]]) -> str:
        """Upload these lines; return the file's id."""
        content = "\n".join(map(json.dumps, lines)).encode()
        sent = form([("purpose", "batch")], [("file", content)])
        answer = self.server.call("POST", "/v1/files", sent, {"Content-Type": HEADERS["content-type"]})
        return str(answer.json()["id"])

    def done(self, **changed: Any) -> dict[str, Any]:
        """Create a batch with these changes; return it when it has ended."""
        made = self.ask(**changed)
        found: list[dict[str, Any]] = [made]

        def has_ended() -> bool:
            found[0] = self.server.call("GET", f"/v1/batches/{made['id']}").json()
            return found[0]["status"] in ("completed", "failed")

        self.server.wait("the batch has ended", has_ended, 120)
        return found[0]


def _line(name: str, **changed: Any) -> dict[str, Any]:
    return {"custom_id": name, "method": "POST", "url": URL, "body": _BODY, **changed}


def _input(trial: BatchTrial) -> None:
    assert trial.done(input_file_id=[_line("a"), _line("b")])["request_counts"]["completed"] == 2
    assert trial.raw(input_file_id="file-nowhere").error["param"] == "input_file_id"


def _endpoint(trial: BatchTrial) -> None:
    failed = trial.done(endpoint="/v1/chat/completions")
    assert failed["errors"]["data"][0]["code"] == "mismatched_url"
    assert trial.raw(endpoint="/v1/audio/speech").error["param"] == "endpoint"


def _window(trial: BatchTrial) -> None:
    made = trial.ask(completion_window="24h")
    assert made["expires_at"] - made["created_at"] == 86_400
    assert trial.raw(completion_window="7d").error["param"] == "completion_window"


def _metadata(trial: BatchTrial) -> None:
    assert trial.ask(metadata={"a": "b"})["metadata"] == {"a": "b"}
    assert trial.raw(metadata={"a": "b" * 513}).error["param"] == "metadata.a"


def _expiry(trial: BatchTrial) -> None:
    done = trial.done(output_expires_after={"anchor": "created_at", "seconds": 3600})
    file = trial.server.call("GET", f"/v1/files/{done['output_file_id']}").json()
    assert file["expires_at"] - file["created_at"] == 3600


def _anchor(trial: BatchTrial) -> None:
    refused = trial.raw(output_expires_after={"anchor": "now", "seconds": 3600})
    assert refused.error["param"] == "output_expires_after.anchor"


def _seconds(trial: BatchTrial) -> None:
    refused = trial.raw(output_expires_after={"anchor": "created_at", "seconds": 5})
    assert refused.error["param"] == "output_expires_after.seconds"


PROBES: Mapping[str, Probes] = {
    "batches": Probes(
        path="/v1/batches",
        plain={"input_file_id": [_line("a")], "endpoint": URL, "completion_window": "24h"},
        effects={
            "input_file_id": _input,
            "endpoint": _endpoint,
            "completion_window": _window,
            "metadata": _metadata,
            "output_expires_after": _expiry,
            "output_expires_after.anchor": _anchor,
            "output_expires_after.seconds": _seconds,
        },
        trial_type=BatchTrial,
    )
}
